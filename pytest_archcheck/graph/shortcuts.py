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

from pytest_archcheck.graph.dataflow import Graph
from pytest_archcheck.graph.weights import is_activation, mixes, takes_part
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
    if graph.work[short] == graph.work[long]:
        return None
    chain = _chain(graph, short)
    fork = _fork(graph, chain, index, long)
    if fork is None:
        return None
    path = chain[:fork][::-1]
    if not _is_linear(graph, path):
        return None
    layers = tuple(graph.nodes[i].id for i in path)
    return Shortcut(_kind(graph, path, index, short), node.id, graph.nodes[chain[fork]].id, layers)


def _chain(graph: Graph, start: int) -> list[int]:
    """The calls behind a node that have one source each, down to the first that has several, or none."""
    chain = [start]
    while True:
        sources = graph.sources(chain[-1])
        if len(sources) != 1 or takes_part(graph.nodes[chain[-1]].call, whole_slices=False):
            return chain
        chain.append(sources[0])


def _fork(graph: Graph, chain: list[int], user: int, long: int) -> int | None:
    """The first place of the chain that the longer path comes from, with work on its way; ``user`` is the sum."""
    places = {node: place for place, node in enumerate(chain)}
    users = [user, *chain]
    found: int | None = None
    stack = [(long, _works(graph, long))]
    seen = set(stack)
    while stack:
        node, worked = stack.pop()
        for source in graph.sources(node):
            place = places.get(source)
            if place is not None:
                if worked and _same_data(graph, source, users[place], node):
                    found = place if found is None else min(found, place)
                    if found == 0:
                        return 0
            elif source > chain[-1]:
                state = (source, worked or _works(graph, source))
                if state not in seen:
                    seen.add(state)
                    stack.append(state)
    return found


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
    if all(takes_part(graph.nodes[i].call) for i in path):
        return "identity"
    before, after = _operand(graph, path[0], None), _operand(graph, total, short)
    if before == after:
        return "identity"
    calls = [graph.nodes[i].call for i in path]
    names = [
        call.type if isinstance(call, LayerCall) else call.function for call in calls if call is not None
    ]
    enlarged = any(name.lower().startswith(_ENLARGING) for name in names)
    grown = len(before) == len(after) and any(new > old for old, new in zip(before, after, strict=True))
    return "padding" if grown and not enlarged else "resampled"


def _operand(graph: Graph, index: int, source: int | None) -> tuple[int, ...]:
    """The shape of what a node takes from a source, or from its only one."""
    node = graph.nodes[index]
    assert node.call is not None
    sources = (source,) if source is not None else graph.sources(index)
    return next(node.call.inputs[edge.position].shape for edge in node.edges if edge.source in sources)
