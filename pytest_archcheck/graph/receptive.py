"""The receptive field: how many positions of the input one position of a feature map is computed from.

Per axis, along every local path (Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
networks", Distill 2019): a window of ``k`` positions, dilated by ``d``, adds ``(k − 1) · d · j`` where ``j`` is the
distance, in input positions, of neighbours so far; a stride multiplies ``j``. Where paths join the largest counts. For
a residual net that is the field along its longest path.

Gates and the statistics of norms are left out. The field ends where positions are mixed at large: attention, a linear
layer over positions, global pooling, a reshape that merges positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pytest_archcheck.graph.dataflow import Edge, Graph
from pytest_archcheck.graph.layouts import contiguous, moves
from pytest_archcheck.graph.windows import Window, windows_of
from pytest_archcheck.records import Call, LayerCall, Op


@dataclass(frozen=True, slots=True)
class ReceptiveField:
    """How far one position sees: ``size`` and ``stride`` in input positions for each axis, in the tensor's order.

    ``at`` is the call that it holds for; ``ended_by`` the call after which every position depends on more than a window
    of the input, ``""`` where the field holds for the output itself.
    """

    size: tuple[int, ...]
    stride: tuple[int | float, ...]
    at: str
    ended_by: str = ""


@dataclass(frozen=True, slots=True)
class _Field:
    """``axes`` are the positions of the spatial axes in the tensor; ``()`` before the first window."""

    axes: tuple[int, ...]
    size: tuple[Fraction, ...]
    jump: tuple[Fraction, ...]
    at: int


@dataclass(frozen=True, slots=True)
class _Ended:
    field: _Field
    by: int


_State = _Field | _Ended | None


def receptive_field(graph: Graph, call_id: str | None = None) -> ReceptiveField | None:
    """The field of a call's output, by default of the main output; ``None`` where no window lies before it.

    Where it ended before, the field of the last call before that is given, with ``ended_by``.
    """
    index = graph.main_output if call_id is None else graph.index.get(call_id)
    if index is None:
        return None
    state = _states(graph, index)[index]
    if state is None:
        return None
    field, by = (state.field, graph.nodes[state.by].id) if isinstance(state, _Ended) else (state, "")
    if not field.axes:
        return None
    strides = tuple(int(jump) if jump.denominator == 1 else float(jump) for jump in field.jump)
    return ReceptiveField(
        tuple(math.ceil(size) for size in field.size), strides, graph.nodes[field.at].id, by
    )


def _states(graph: Graph, last: int) -> list[_State]:
    states: list[_State] = []
    for index, node in enumerate(graph.nodes[: last + 1]):
        call = node.call
        if call is None:
            states.append(_Field((), (), (), index))
            continue
        operands = [
            (_taken(graph, states[edge.source], edge), edge.position)
            for edge in node.edges
            if (index, edge.position) not in graph.gates and graph.nodes[edge.source].on_data
        ]
        known = [(state, position) for state, position in operands if state is not None]
        after = [_after(call, index, state, position, len(known)) for state, position in known]
        states.append(_widest(after))
    return states


def _taken(graph: Graph, state: _State, edge: Edge) -> _State:
    """The state of one of a call's results; the base of a view that was written to has axes of its own."""
    call = graph.nodes[edge.source].call
    if call is None or edge.index == 0 or not isinstance(state, _Field):
        return state
    ranks = {len(call.outputs[index].shape) for index in (0, edge.index)}
    return state if len(ranks) == 1 else _Ended(state, edge.source)


def _widest(states: Sequence[_Field | _Ended]) -> _State:
    """What holds where paths join: the end of one ends all, else the largest field on each axis."""
    if len(states) <= 1:
        return states[0] if states else None
    ended = [state for state in states if isinstance(state, _Ended) and state.field.axes]
    if ended:
        return max(ended, key=lambda state: (state.field.size, state.by))
    fields = [state for state in states if isinstance(state, _Field)]
    first = max(fields, key=lambda field: (len(field.axes), field.size), default=None)
    if first is None:
        return states[0]
    same = [field for field in fields if field.axes == first.axes]
    size = tuple(max(field.size[axis] for field in same) for axis in range(len(first.axes)))
    return _Field(first.axes, size, first.jump, first.at)


def _after(call: Call, index: int, state: _Field | _Ended, position: int, operands: int) -> _Field | _Ended:
    if isinstance(state, _Ended):
        return state
    shape = call.inputs[position].shape
    windows = windows_of(call) if position == 0 else None
    if windows is not None:
        return _through(windows, state, index, len(shape))
    if not state.axes:
        return _Field((), (), (), index)
    if isinstance(call, Op) and call.function in _REDUCTIONS:
        return _reduced(call, state, len(shape), index)
    if isinstance(call, Op) and call.function == "stack":
        dim = call.kwargs.get("dim", 0)
        at = dim % (len(shape) + 1) if type(dim) is int else 0
        return _Field(tuple(axis + (axis >= at) for axis in state.axes), state.size, state.jump, index)
    moved = _moved(call, state, shape, index) if position == 0 else None
    if moved is not None:
        return moved
    if _keeps_positions(call, state, shape, operands):
        return _Field(state.axes, state.size, state.jump, index)
    return _Ended(state, index)


def _through(windows: tuple[Window, ...], field: _Field, index: int, rank: int) -> _Field | _Ended:
    spatial = tuple(range(rank - len(windows), rank))
    if not field.axes:
        one = (Fraction(1),) * len(windows)
        field = _Field(spatial, one, one, index)
    size, jump = list(field.size), list(field.jump)
    for window, axis in zip(windows, spatial, strict=True):
        if axis in field.axes:
            if window.whole:
                return _Ended(field, index)
            at = field.axes.index(axis)
            size[at] += window.reach * jump[at]
            jump[at] *= window.stride
    return _Field(field.axes, tuple(size), tuple(jump), index)


def _moved(call: Call, field: _Field, shape: tuple[int, ...], index: int) -> _Field | _Ended | None:
    """The field after a call that only moves elements; it ends where an axis is merged with another."""
    before = contiguous(shape)
    after = moves(call, 0, before)
    if after is None:
        return None
    axes: list[int] = []
    jumps: list[Fraction] = []
    for axis, jump in zip(field.axes, field.jump, strict=True):
        if shape[axis] == 1:
            return _Ended(field, index)
        stride = before.dims[axis][0][1]
        end = stride * shape[axis]
        found = [
            place for place, dim in enumerate(after.dims) if any(stride <= step < end for _, step in dim)
        ]
        if len(found) != 1 or len(after.dims[found[0]]) != 1:
            return _Ended(field, index)
        axes.append(found[0])
        jumps.append(jump * (after.dims[found[0]][0][1] // stride))
    return _Field(tuple(axes), field.size, tuple(jumps), index)


def _reduced(call: Op, field: _Field, rank: int, index: int) -> _Field | _Ended:
    """A sum or mean over other axes than the spatial ones keeps the field."""
    dims = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    dims = (dims,) if type(dims) is int else dims
    if not isinstance(dims, tuple) or not dims:
        return _Ended(field, index)
    gone = {dim % rank for dim in dims if type(dim) is int}
    if gone & set(field.axes):
        return _Ended(field, index)
    if len(call.output.shape) == rank:
        return _Field(field.axes, field.size, field.jump, index)
    axes = tuple(axis - sum(dim < axis for dim in gone) for axis in field.axes)
    return _Field(axes, field.size, field.jump, index)


_REDUCTIONS = {"mean", "sum", "amax", "amin", "max", "min", "std", "var", "norm"}


def _keeps_positions(call: Call, field: _Field, shape: tuple[int, ...], operands: int) -> bool:
    """Whether each position of the result is computed from the same position of the operand."""
    after = call.outputs[0].shape if call.outputs else ()
    name = call.module.layer if isinstance(call, LayerCall) else call.function
    if len(after) != len(shape) or name in _MIXING or name.startswith("fft_"):
        return False
    if name == "pad" or "Pad" in name:
        return True
    if any(after[axis] != shape[axis] for axis in field.axes):
        return operands > 1 and name != "cat"  # the smaller one is broadcast
    if name in _PRODUCTS:
        return len(shape) - 1 not in field.axes
    return after == shape or operands > 1 or name == "cat"


_PRODUCTS = {"Linear", "NonDynamicallyQuantizableLinear", "linear"}
_MIXING = {
    "matmul",
    "bmm",
    "mm",
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
    "cumsum",
    "flip",
    "sort",
}
