"""Shortcuts: the parallel path of a residual sum.

A sum of two tensors is residual when the shorter of the two paths into it is a plain chain of calls that begins at a
tensor on the longer one (the fork), and the longer one does more work from there: it holds more weighted layers, or
pooling, attention or a product of data. Where the shorter one is a network of its own (it has an activation after a
weighted layer, as the feed-forward beside GPT-J's attention), the two are parallel and there is no shortcut. Kinds,
after the ResNet paper (arXiv 1512.03385, options A and B):

* ``identity``: the shape stays, and the path holds no weighted layer;
* ``projection``: the path holds a weighted layer;
* ``padding``: no weighted layer, and the tensor is padded with zeros;
* ``resampled``: no weighted layer, and the tensor is pooled, interpolated or sub-sampled.
"""

from __future__ import annotations

from dataclasses import dataclass
from heapq import heappop, heappush
from math import prod

from pytest_archcheck.graph.dataflow import Graph
from pytest_archcheck.graph.weights import is_activation, mixes, takes_part
from pytest_archcheck.graph.windows import windows_of
from pytest_archcheck.records import LayerCall, Op

KINDS = ("identity", "projection", "padding", "resampled")
_SUMS = {"add", "quantized.add", "quantized.add_relu"}
_ENLARGING = ("interpolate", "upsample", "pixel_shuffle", "grid_sample")


@dataclass(frozen=True, slots=True)
class Shortcut:
    """The shorter path into a residual sum.

    ``sum`` and ``start`` are the ids of the sum and of what made the tensor that both paths begin with; ``layers`` are
    the calls on the shorter path, in order; ``kind`` is one of ``KINDS``.
    """

    kind: str
    sum: str
    start: str
    layers: tuple[str, ...]


def find_shortcuts(graph: Graph) -> tuple[Shortcut, ...]:
    """Every shortcut, in order of execution."""
    found = (_shortcut(graph, index) for index in range(len(graph.nodes)))
    return tuple(shortcut for shortcut in found if shortcut is not None)


def _shortcut(graph: Graph, index: int) -> Shortcut | None:
    node = graph.nodes[index]
    if not (isinstance(node.call, Op) and node.call.function in _SUMS):
        return None
    operands = graph.sources(index)
    if len(operands) != 2:
        return None
    short, long = sorted(operands, key=lambda operand: graph.work[operand])
    sizes = {node.call.inputs[edge.position].numel for edge in node.edges if edge.source in operands}
    if (
        graph.work[short] == graph.work[long] or len(sizes) > 1
    ):  # a smaller operand is broadcast: no parallel path
        return None
    path, fork = _path(graph, index, short, long)
    if fork is None or not _is_linear(graph, path):
        return None
    layers = tuple(graph.nodes[i].id for i in path)
    return Shortcut(_kind(graph, path, index, short), node.id, graph.nodes[fork].id, layers)


def _path(graph: Graph, total: int, short: int, long: int) -> tuple[list[int], int | None]:
    """The shorter path and the fork: the nearest tensor on both paths that is followed by work on the longer one.

    The shorter path is followed back call by call, as long as each has one source; the longer one in all directions,
    the latest call first.
    """
    path: list[int] = []
    at, user = short, total
    waiting = [(-long, total, _works(graph, long))]
    seen = set(waiting)
    while waiting:
        latest, taker, worked = waiting[0]
        if at > -latest:  # everything left on the longer path came before it
            sources = graph.sources(at)
            if len(sources) != 1 or takes_part(graph.nodes[at].call, whole_slices=False):
                return [], None
            path.append(at)
            at, user = sources[0], at
            continue
        heappop(waiting)
        if at == -latest:
            if worked and _same_data(graph, at, user, taker):
                return path[::-1], at
            continue
        for source in graph.sources(-latest):
            state = (-source, -latest, worked or _works(graph, source))
            if source == at:
                if worked and _same_data(graph, at, user, -latest):
                    return path[::-1], at
            elif state not in seen:
                seen.add(state)
                heappush(waiting, state)
    return [], None


def _works(graph: Graph, index: int) -> bool:
    node = graph.nodes[index]
    return node.call is not None and (bool(node.key) or mixes(node.call))


def _is_linear(graph: Graph, path: list[int]) -> bool:
    """Whether no activation comes after a weighted layer."""
    first = next((place for place, index in enumerate(path) if graph.nodes[index].key), len(path))
    calls = (graph.nodes[index].call for index in path[first:])
    return not any(call is not None and is_activation(call) for call in calls)


def _same_data(graph: Graph, fork: int, *users: int) -> bool:
    """Whether two calls take the same data from the fork: two pieces of a split, or two rows, are no shortcut."""
    if takes_part(graph.nodes[fork].call):
        taken = [{e.index for e in graph.nodes[user].edges if e.source == fork} for user in users]
        return bool(taken[0] & taken[1])
    return not all(takes_part(graph.nodes[user].call) for user in users)


def _kind(graph: Graph, path: list[int], total: int, short: int) -> str:
    if any(graph.nodes[i].key for i in path):
        return "projection"
    calls = [call for i in path if (call := graph.nodes[i].call) is not None]
    if all(takes_part(call) for call in calls):
        return "identity"
    before, after = _operand(graph, path[0], None), _operand(graph, total, short)
    slid = any(windows_of(call) is not None for call in calls)
    if before == after or (prod(before) == prod(after) and not slid):
        return "identity"
    grown = len(before) == len(after) and any(new > old for old, new in zip(before, after, strict=True))
    names = [call.type if isinstance(call, LayerCall) else call.function for call in calls]
    enlarged = any(name.lower().startswith(_ENLARGING) for name in names)
    return "padding" if grown and not enlarged else "resampled"


def _operand(graph: Graph, index: int, source: int | None) -> tuple[int, ...]:
    """The shape of what a node takes from a source, or from its only one."""
    node = graph.nodes[index]
    assert node.call is not None
    sources = (source,) if source is not None else graph.sources(index)
    return next(node.call.inputs[edge.position].shape for edge in node.edges if edge.source in sources)
