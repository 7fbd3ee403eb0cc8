"""Which axes of an operand a call keeps: each position of the result is computed from the same one of the operand."""

from __future__ import annotations

from pytest_archcheck.graph.weights import REDUCTIONS
from pytest_archcheck.records import Call, LayerCall, Op, Ref, Value

_LINEAR = {"Linear", "NonDynamicallyQuantizableLinear", "linear"}
_ALONG = {
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "logcumsumexp",
    "sort",
    "topk",
    "flip",
    "argsort",
    "kthvalue",
}
_AT_LARGE = {
    "grid_sample",
    "bmm",
    "einsum",
    "scaled_dot_product_attention",
    "multi_head_attention_forward",
    "MultiheadAttention",
    "RNN",
    "LSTM",
    "GRU",
    "lstm",
    "gru",
    "rnn_tanh",
    "rnn_relu",
}


def kept_axes(call: Call, position: int, shape: tuple[int, ...], operands: int) -> dict[int, int]:
    """The axes of the operand at ``position`` that a call keeps, each with its place in the result.

    ``shape`` is the operand's, ``operands`` how many of them depend on the input.
    """
    name = call.module.layer if isinstance(call, LayerCall) else call.function
    rank, after = len(shape), call.output.shape if call.outputs else ()
    every = {axis: axis for axis in range(rank)}
    if name in _AT_LARGE or name.startswith("fft_"):
        return {}
    if isinstance(call, Op) and name in REDUCTIONS and not _is_elementwise(call):
        return _reduced(call, rank, len(after))
    if isinstance(call, Op) and name in _ALONG:
        return {axis: axis for axis in every if axis not in _dims(call, rank)}
    if isinstance(call, Op) and name == "stack":
        dim = call.kwargs.get("dim", 0)
        at = dim % (rank + 1) if type(dim) is int else 0
        return {axis: axis + (axis >= at) for axis in every}
    if name in _LINEAR:
        return {axis: axis for axis in range(rank - 1)}
    if name == "matmul":
        return {axis: axis for axis in range(rank - 1)} if operands == 1 and position == 0 else {}
    if len(after) != rank:
        return {}
    if name == "pad" or "Pad" in name:
        return every
    same = {axis: axis for axis in every if after[axis] == shape[axis]}
    if name == "cat" or operands > 1 or len(same) == rank:
        return same
    return {}


def _is_elementwise(call: Op) -> bool:
    """``torch.max(a, b)`` of two tensors."""
    return len(call.args) > 1 and isinstance(call.args[1], Ref)


def _dims(call: Op, rank: int) -> set[int]:
    dims: Value = call.kwargs.get(
        "dim", call.kwargs.get("dims", call.args[1] if len(call.args) > 1 else None)
    )
    if call.function == "topk":
        dims = call.kwargs.get("dim", call.args[2] if len(call.args) > 2 else -1)
    if dims is None:
        dims = -1
    return {dim % rank for dim in (dims if isinstance(dims, tuple) else (dims,)) if type(dim) is int}


def _reduced(call: Op, rank: int, after: int) -> dict[int, int]:
    """A reduction keeps the axes that it does not name; without any it takes all."""
    dims = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    if dims is None or dims == ():
        return {}
    gone = _dims(call, rank)
    if after == rank:
        return {axis: axis for axis in range(rank) if axis not in gone}
    return {axis: axis - sum(dim < axis for dim in gone) for axis in range(rank) if axis not in gone}
