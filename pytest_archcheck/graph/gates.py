"""Which operands are gates: they scale a feature map, and papers do not count what computes them.

Rule (squeeze-and-excitation, arXiv 1709.01507; selective kernels, arXiv 1903.06586): the operand of a
product that broadcasts against the other, or that is reached from the other operand through a reduction
over positions.
"""

from __future__ import annotations

from pytest_archcheck.graph.dataflow import Edge, Graph
from pytest_archcheck.records import LayerCall, Op

_REDUCTIONS = {"mean", "sum", "amax", "max", "adaptive_avg_pool2d", "adaptive_max_pool2d", "avg_pool2d"}


def gate_edges(graph: Graph) -> frozenset[tuple[int, int]]:
    """The gates of a graph as pairs of a product's node and the operand's position."""
    found: set[tuple[int, int]] = set()
    for index, node in enumerate(graph.nodes):
        call = node.call
        if not (isinstance(call, Op) and call.function == "mul" and len(node.edges) == 2):
            continue
        first, second = node.edges
        if not (graph.nodes[first.source].on_data and graph.nodes[second.source].on_data):
            continue
        gate = _broadcast(call, first, second) or _reduced(graph, first, second)
        if gate is not None:
            found.add((index, gate.position))
    return frozenset(found)


def _broadcast(call: Op, first: Edge, second: Edge) -> Edge | None:
    left, right = call.inputs[first.position].numel, call.inputs[second.position].numel
    if left == right:
        return None
    return first if left < right else second


def _reduced(graph: Graph, first: Edge, second: Edge) -> Edge | None:
    """The operand that is computed from the other one, with a reduction over positions in between."""
    if first.source == second.source:
        return None
    gate, data = (first, second) if first.source > second.source else (second, first)
    return gate if _reduces(graph, gate.source, data.source) else None


def _reduces(graph: Graph, start: int, target: int) -> bool:
    """Whether a path leads back from ``start`` to ``target`` through a reduction."""
    seen: set[tuple[int, bool]] = set()
    stack = [(start, False)]
    while stack:
        node, reduced = stack.pop()
        reduced = reduced or _is_reduction(graph, node)
        if node == target and reduced:
            return True
        if node <= target or (node, reduced) in seen:
            continue
        seen.add((node, reduced))
        stack += [(edge.source, reduced) for edge in graph.nodes[node].edges]
    return False


def _is_reduction(graph: Graph, node: int) -> bool:
    call = graph.nodes[node].call
    if isinstance(call, LayerCall):
        return call.type.startswith(("AdaptiveAvgPool", "AdaptiveMaxPool"))
    return call is not None and call.function in _REDUCTIONS
