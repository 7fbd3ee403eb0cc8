"""The receptive field: how many positions of the input one position of a feature map is computed from.

Per axis, along every path (Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks",
Distill 2019): position 0 sees an interval of the input, and neighbours see it ``jump`` positions on. A window of ``k``
positions, dilated by ``d``, widens the interval by ``(k − 1) · d · jump`` and begins ``padding · jump`` before it; a
stride multiplies the jump; a slice begins later. Where paths join, the interval spans all of theirs. For a residual
net that is the field along its longest path.

Gates and the statistics of norms are left out. The field ends where positions are mixed at large on any path:
attention, a linear layer over positions, global pooling, a reshape that merges positions.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

from pytest_archcheck.graph.axes import kept_axes
from pytest_archcheck.graph.dataflow import Edge, Graph
from pytest_archcheck.graph.layouts import Layout, contiguous, moves
from pytest_archcheck.graph.windows import Window, is_unpooling, windows_of
from pytest_archcheck.records import Call, Op


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
class Axis:
    """One axis of a tensor: what its position 0 sees of the input, and how far apart neighbours see it.

    ``slid`` is whether a window went over it: only such an axis is spatial for sure.
    """

    first: Fraction = Fraction(0)
    last: Fraction = Fraction(0)
    jump: Fraction = Fraction(1)
    slid: bool = False


@dataclass(frozen=True, slots=True)
class _Field:
    """The axes of the tensor of that ``shape``, by position; ``layout`` is how calls have moved its elements since."""

    shape: tuple[int, ...]
    axes: dict[int, Axis]
    at: int
    layout: Layout | None = None

    @property
    def slid(self) -> bool:
        return any(axis.slid for axis in self.axes.values())


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
    if isinstance(state, _Field):
        state = _settled(state, index)
    if state is None:
        return None
    field, by = (state.field, graph.nodes[state.by].id) if isinstance(state, _Ended) else (state, "")
    axes = [axis for _, axis in sorted(field.axes.items()) if axis.slid]
    if not axes:
        return None
    size = tuple(math.ceil(axis.last - axis.first) + 1 for axis in axes)
    strides = tuple(int(axis.jump) if axis.jump.denominator == 1 else float(axis.jump) for axis in axes)
    return ReceptiveField(size, strides, graph.nodes[field.at].id, by)


def _states(graph: Graph, last: int) -> list[_State]:
    """What each node sees; views are kept as they are until something is computed from them."""
    states: list[_State] = []
    inputs = graph.trace.inputs
    for index, node in enumerate(graph.nodes[: last + 1]):
        call = node.call
        if call is None:
            shape = inputs[index].shape
            states.append(_Field(shape, {place: Axis() for place in range(len(shape))}, index))
            continue
        after: list[_Field | _Ended] = []
        edges = [e for e in node.edges if (index, e.position) not in graph.gates]
        edges = edges[:1] if is_unpooling(call) else edges  # the others are the places to put it
        operands = [(edge, state) for edge in edges if (state := _taken(graph, states, edge)) is not None]
        for edge, state in operands:
            after.append(_after(call, index, state, edge, len(operands)))
        states.append(_joined(after, index))
    return states


def _taken(graph: Graph, states: list[_State], edge: Edge) -> _State:
    """The state of one of a call's results; a piece of a split lies elsewhere than the first."""
    node, state = graph.nodes[edge.source], states[edge.source]
    if node.call is None or edge.index == 0 or not isinstance(state, _Field):
        return state
    if state.layout is not None and isinstance(node.call, Op):
        before = states[node.edges[0].source]
        if isinstance(before, _Field):
            piece = moves(node.call, edge.index, before.layout or contiguous(before.shape))
            if piece is not None:
                return replace(state, layout=piece)
    same = node.call.outputs[0].shape == node.call.outputs[edge.index].shape
    return state if same else _Ended(_last(state), edge.source)


def _last(field: _Field) -> _Field:
    """The field as it was before its elements were moved."""
    return replace(field, layout=None)


def _joined(states: Sequence[_Field | _Ended], index: int) -> _State:
    """What holds where paths join: the end of one ends all, else the span of all intervals."""
    ended = [state for state in states if isinstance(state, _Ended) and state.field.slid]
    if ended:
        return max(ended, key=lambda state: (_extent(state.field), state.by))
    fields = [state for state in states if isinstance(state, _Field)]
    if len(fields) <= 1:
        return fields[0] if fields else None
    widest = max(fields, key=lambda field: (field.slid, len(field.shape), _extent(field)))
    axes: dict[int, Axis] = {}
    for place, axis in widest.axes.items():
        same = [f.axes[place] for f in fields if place in f.axes and len(f.shape) == len(widest.shape)]
        same = [other for other in same if other.jump == axis.jump or other == Axis()]
        axes[place] = Axis(
            min(other.first for other in same),
            max(other.last for other in same),
            axis.jump,
            any(other.slid for other in same),
        )
    return _Field(widest.shape, axes, index)


def _extent(field: _Field) -> Fraction:
    return sum((axis.last - axis.first for axis in field.axes.values()), Fraction(0))


def _after(call: Call, index: int, state: _Field | _Ended, edge: Edge, operands: int) -> _Field | _Ended:
    if isinstance(state, _Ended):
        return state
    if edge.position == 0 and operands == 1:
        layout = state.layout or contiguous(state.shape)
        after = moves(call, 0, layout)
        if after is not None:
            return replace(state, layout=after)
    settled = _settled(state, index)
    if isinstance(settled, _Ended):
        return settled
    windows = windows_of(call) if edge.position == 0 else None
    if windows is not None:
        return _through(call, windows, settled, index)
    kept = kept_axes(call, edge.position, settled.shape, operands)
    gone = set(settled.axes) - kept.keys()
    if any(settled.axes[place].slid for place in gone):
        return _Ended(settled, index)
    shape = call.output.shape if call.outputs else ()
    return _Field(shape, {kept[place]: axis for place, axis in settled.axes.items() if place in kept}, index)


def _settled(field: _Field, index: int) -> _Field | _Ended:
    """The axes of the tensor as its elements were moved; it ends where a spatial one was merged with another.

    An axis that was cut, its pieces moved among other axes (space to depth), is seen by what reads them all.
    """
    if field.layout is None:
        return field
    strides = {place: dim[0][1] for place, dim in enumerate(contiguous(field.shape).dims) if dim}
    axes: dict[int, Axis] = {}
    for place, axis in field.axes.items():
        if place not in strides:  # of one position: it may be anywhere
            if axis.slid:
                return _Ended(_last(field), index)
            continue
        low, high = strides[place], strides[place] * field.shape[place]
        factors = [
            (at, size, step)
            for at, dim in enumerate(field.layout.dims)
            for size, step in dim
            if low <= step < high
        ]
        alone = [(at, step // low) for at, _, step in factors if len(field.layout.dims[at]) == 1]
        outer = max(alone, key=lambda found: found[1], default=None)
        rest = sum(
            (size - 1) * (step // low) for at, size, step in factors if outer is None or at != outer[0]
        )
        if outer is None or (rest and rest != outer[1] - 1):
            if axis.slid:
                return _Ended(_last(field), index)
            continue
        start = field.layout.offset % high // low * axis.jump
        first, last = axis.first + start, axis.last + start + rest * axis.jump
        axes[outer[0]] = Axis(first, last, axis.jump * outer[1], axis.slid or outer[1] > 1)
    return _Field(field.layout.shape, axes, index)


def _through(call: Call, windows: tuple[Window, ...], field: _Field, index: int) -> _Field | _Ended:
    """The field after a window over the last axes; what lies before them is the batch, and channels, which are read."""
    rank = len(field.shape)
    axes = {0: field.axes[0]} if 0 in field.axes and rank > len(windows) + 1 else {}
    if any(axis.slid for place, axis in field.axes.items() if place < rank - len(windows)):
        return _Ended(field, index)
    for place, window in enumerate(windows, rank - len(windows)):
        axis = field.axes.get(place)
        if axis is None:
            continue
        if window.whole:
            return _Ended(field, index)
        first = axis.first + window.first * axis.jump
        last = axis.last + (window.first + window.reach) * axis.jump
        axes[place] = Axis(first, last, axis.jump * window.stride, True)
    return _Field(call.output.shape, axes, index)
