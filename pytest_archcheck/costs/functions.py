"""The products inside torch's functions, from the shapes of their operands."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from pytest_archcheck.costs.contractions import chain, einsum, tensordot
from pytest_archcheck.costs.products import AttentionOperands, Operand, Product, attention_products, window_of
from pytest_archcheck.records import RECURRENT_OPS, Op, Value, refs_in

_Products = tuple[Product, ...]


def _convolution(call: Op) -> _Products:
    return (Product(call.output.numel * window_of(call.inputs[1].shape), (0,), (1,)),)


def _transposed(call: Op) -> _Products:
    return (Product(call.inputs[0].numel * window_of(call.inputs[1].shape), (0,), (1,)),)


def _any_convolution(call: Op) -> _Products:
    """``torch.convolution(input, weight, bias, stride, padding, dilation, transposed, …)``."""
    transposed = call.args[6] if len(call.args) > 6 else call.kwargs.get("transposed")
    return _transposed(call) if transposed is True else _convolution(call)


def _convolution_in_time(call: Op) -> _Products:
    """``conv_tbc``: input ``[T, N, in]``, weight ``[window, in, out]``."""
    window, taken, _ = call.inputs[1].shape
    return (Product(call.output.numel * window * taken, (0,), (1,)),)


def _linear(call: Op) -> _Products:
    return (Product(call.output.numel * call.inputs[1].shape[-1], (0,), (1,)),)


def _scores(call: Op) -> _Products:
    """``F.linear_cross_entropy(input, weight, target)``: a linear layer before the loss."""
    return (Product(call.inputs[0].numel * call.inputs[1].shape[0], (0,), (1,)),)


def _matrix(call: Op) -> _Products:
    """The size of the result times the length of the dimension that is summed over."""
    return (Product(call.output.numel * call.inputs[0].shape[-1], (0,), (1,)),)


def _inner(call: Op) -> _Products:
    shape = call.inputs[0].shape
    return (Product(call.output.numel * shape[-1], (0,), (1,)),) if shape and call.inputs[1].shape else ()


def _vectors(call: Op) -> _Products:
    """``torch.linalg.vecdot``, along ``dim``; the operands may be broadcast."""
    dim = call.args[2] if len(call.args) > 2 else call.kwargs.get("dim", -1)
    left, right = (spec.shape for spec in call.inputs[:2])
    along = dim if type(dim) is int else -1
    return (Product(call.output.numel * max(left[along], right[along]), (0,), (1,)),)


def _added(call: Op) -> _Products:
    """``addmm(added, a, b)`` and its relatives; the sum over a batch included."""
    left, right = call.inputs[1].shape, call.inputs[2].shape
    return (Product(prod(left) * (right[-1] if len(right) > 1 else 1), (1,), (2,)),)


def _dot(call: Op) -> _Products:
    return (Product(call.inputs[0].numel, (0,), (1,)),)


def _grouped(call: Op) -> _Products:
    """``grouped_mm(a, b, offs)``: each row (or column) belongs to one of the groups, whichever."""
    left, right = call.inputs[0].shape, call.inputs[1].shape
    macs = prod(left[-2:]) * right[-1] * (left[0] if len(left) == len(right) == 3 else 1)
    return (Product(macs, (0,), (1,)),)


def _bilinear(call: Op) -> _Products:
    first, second = call.inputs[2].shape[1:]
    return (
        Product(call.output.numel * first * second, (0,), (2,)),
        Product(call.output.numel * second, (0, 2), (1,)),
    )


def _scaled_attention(call: Op) -> _Products:
    """Scores and weighted values: query ``[…, L, E]``, key ``[…, S, E]``, value ``[…, S, V]``."""
    query, key, value = (spec.shape for spec in call.inputs[:3])
    scores = prod(call.output.shape[:-1]) * key[-2]  # as broadcast, over the heads of the query
    mask = _operand(call, 3, "attn_mask")
    return (Product(scores * query[-1], (0,), (1,)), Product(scores * value[-1], (0, 1, *mask), (2,)))


def _attention(call: Op) -> _Products:
    """``F.multi_head_attention_forward(query, key, value, …)``, each ``[L, N, E]``."""
    extra = bool(_operand(call, 7, "bias_k")) + (_argument(call, 9, "add_zero_attn") is True)
    packed = _operand(call, 5, "in_proj_weight")
    operands = AttentionOperands(
        projections=(
            packed or _operand(call, 18, "q_proj_weight"),
            packed or _operand(call, 19, "k_proj_weight"),
            packed or _operand(call, 20, "v_proj_weight"),
        ),
        biases=_operand(call, 6, "in_proj_bias"),
        added=(_operand(call, 7, "bias_k"), _operand(call, 8, "bias_v")),
        mask=_operand(call, 14, "key_padding_mask") + _operand(call, 16, "attn_mask"),
        out=_operand(call, 11, "out_proj_weight"),
    )
    if _operand(call, 21, "static_k") or _operand(call, 22, "static_v"):
        raise ValueError("keys from elsewhere have a length of their own")
    query, key, value = (spec.shape for spec in call.inputs[:3])
    return attention_products((query, key, value), False, extra, operands)


def _argument(call: Op, position: int, name: str) -> Value:
    return call.args[position] if len(call.args) > position else call.kwargs.get(name)


def _operand(call: Op, position: int, name: str) -> Operand:
    """The place of an argument among the call's tensors."""
    before = 0
    named = zip((None,) * len(call.args), call.args, strict=True)
    for place, (key, value) in enumerate((*named, *call.kwargs.items())):
        found = sum(1 for _ in refs_in(value))
        if key == name or (key is None and place == position):
            return tuple(range(before, before + found))
        before += found
    return ()


def _nuclear(call: Op) -> _Products | None:
    """``torch.norm`` is a reduction, unless it is the sum of a matrix's singular values."""
    return None if _argument(call, 1, "p") == "nuc" else ()


def _norm(call: Op) -> _Products | None:
    """``torch.linalg.norm`` is a reduction, unless it is the norm of a matrix by its singular values."""
    order, dim = _argument(call, 1, "ord"), _argument(call, 2, "dim")
    return () if order is None or type(dim) is int or len(call.inputs[0].shape) < 2 else None


def _recurrent(call: Op) -> _Products:
    """``torch.lstm`` and its like: every weight matrix is used once for each step and sample."""
    shapes = [spec.shape for spec in call.inputs]
    steps = prod(shapes[0][:-1])
    states = tuple(position for position, shape in enumerate(shapes) if position and len(shape) == 3)
    samples = shapes[states[0]][1]  # of the first states [layers, N, hidden], also of a packed sequence
    weights = [position for position, shape in enumerate(shapes) if position and len(shape) == 2]
    layers = next((value for value in call.args if type(value) is int), 1)
    in_layer = len(weights) // layers
    kinds = 3 if in_layer % 3 == 0 else 2  # for inputs, for states, and for an LSTM's projection
    products: list[Product] = []
    for order in range(0, len(weights), kinds):
        below: Operand = (0, *range(weights[0], weights[order])) if order >= in_layer else (0,)
        end = (*weights, len(shapes))[order + kinds]
        inner: Operand = (*below, *states, *range(weights[order], end))  # with the biases in between
        inputs, hidden, *projection = (call.inputs[p].numel for p in weights[order : order + kinds])
        products.append(Product(steps * inputs, below, (weights[order],)))
        products.append(Product(samples * hidden, states, (weights[order + 1],)))
        products.append(Product((steps - samples) * hidden, inner, (weights[order + 1],)))
        products += [Product(steps * macs, inner, (weights[order + 2],)) for macs in projection]
    return tuple(products)


def _cell(call: Op) -> _Products:
    """``torch.lstm_cell`` and its like: of the matrices, the last two are weights, the others input and states."""
    matrices = [position for position, spec in enumerate(call.inputs) if len(spec.shape) == 2]
    samples = prod(call.inputs[0].shape[:-1])
    inputs, states = matrices[-2:]
    return (
        Product(samples * call.inputs[inputs].numel, (0,), (inputs,)),
        Product(samples * call.inputs[states].numel, (1,), (states,)),
    )


FUNCTIONS: dict[str, Callable[[Op], _Products | None]] = {
    **{f"conv{n}d": _convolution for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _transposed for n in (1, 2, 3)},
    "convolution": _any_convolution,
    "conv_tbc": _convolution_in_time,
    "torchvision.deform_conv2d": _convolution,  # reading between the pixels is interpolation
    "linear": _linear,
    "bilinear": _bilinear,
    **dict.fromkeys(("matmul", "linalg_matmul", "mm", "bmm", "mv", "int_mm", "scaled_mm"), _matrix),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv", "addmm_activation"), _added),
    **dict.fromkeys(("dot", "vdot"), _dot),
    "inner": _inner,
    "linalg_vecdot": _vectors,
    "grouped_mm": _grouped,
    "linear_cross_entropy": _scores,
    "linalg_norm": _norm,
    "norm": _nuclear,
    **dict.fromkeys(("linalg_multi_dot", "chain_matmul"), chain),
    "einsum": einsum,
    "tensordot": tensordot,
    **dict.fromkeys(
        (
            "scaled_dot_product_attention",
            "scaled_dot_product_flash_attention",
            "scaled_dot_product_flash_attention_for_cpu",
            "scaled_dot_product_efficient_attention",
            "scaled_dot_product_cudnn_attention",
        ),
        _scaled_attention,
    ),
    "multi_head_attention_forward": _attention,
    **dict.fromkeys(RECURRENT_OPS, _recurrent),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), _cell),
}
"""The products of each function that has any; ``None`` where they cannot be told from the arguments."""
