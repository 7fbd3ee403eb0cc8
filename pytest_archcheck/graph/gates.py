"""Which operands are gates: they scale a feature map, and papers do not count what computes them.

Rule (squeeze-and-excitation, arXiv 1709.01507; selective kernels, arXiv 1903.06586): the operand of a product that
broadcasts against the other, or that is computed from the other operand by way of a reduction alone: a mean, a sum, a
maximum or pooling that leaves fewer elements lies on every path between them.
"""

from __future__ import annotations

from heapq import heappop, heappush

from pytest_archcheck.graph.dataflow import Edge, Graph
from pytest_archcheck.graph.weights import REDUCTIONS, is_pooling, takes_part
from pytest_archcheck.records import Op


def gate_edges(graph: Graph) -> frozenset[tuple[int, int]]:
    """The gates of a graph as pairs of a product's node and the operand's position."""
    found: set[tuple[int, int]] = set()
    latest = _latest_reductions(graph)
    for index, node in enumerate(graph.nodes):
        call = node.call
        if not (isinstance(call, Op) and call.function == "mul" and len(node.edges) == 2):
            continue
        first, second = node.edges
        if not (graph.nodes[first.source].on_data and graph.nodes[second.source].on_data):
            continue
        gate = _broadcast(call, first, second) or _reduced(graph, first, second, latest)
        if gate is not None:
            found.add((index, gate.position))
    return frozenset(found)


def _broadcast(call: Op, first: Edge, second: Edge) -> Edge | None:
    left, right = call.inputs[first.position].numel, call.inputs[second.position].numel
    if left == right:
        return None
    return first if left < right else second


def _reduced(graph: Graph, first: Edge, second: Edge, latest: list[int]) -> Edge | None:
    """The operand that is computed from the other one by way of a reduction alone."""
    if first.source == second.source:
        return None
    gate, data = (first, second) if first.source > second.source else (second, first)
    if latest[gate.source] <= data.source:
        return None
    return gate if _only_reduced(graph, gate.source, data) else None


def _only_reduced(graph: Graph, start: int, data: Edge) -> bool:
    """Whether paths lead back from a node to a tensor, and a reduction lies on each of them."""
    is_piece = takes_part(graph.nodes[data.source].call)
    waiting = [(-start, False)]
    seen = set(waiting)
    reached = False
    while waiting:
        at, reduced = heappop(waiting)
        reduced = reduced or _is_reduction(graph, -at)
        for edge in graph.nodes[-at].edges:
            if edge.source == data.source:
                if is_piece and edge.index != data.index:
                    continue
                if not reduced:
                    return False
                reached = True
            elif edge.source > data.source and (-edge.source, reduced) not in seen:
                seen.add((-edge.source, reduced))
                heappush(waiting, (-edge.source, reduced))
    return reached


def _is_reduction(graph: Graph, node: int) -> bool:
    call = graph.nodes[node].call
    if call is None or not call.inputs or not call.outputs or call.output.numel >= call.inputs[0].numel:
        return False
    return is_pooling(call) or (isinstance(call, Op) and call.function in REDUCTIONS)


def _latest_reductions(graph: Graph) -> list[int]:
    """For each node the last reduction before it, -1 where there is none: most products need no search."""
    latest: list[int] = []
    for index in range(len(graph.nodes)):
        before = max((latest[source] for source in graph.sources(index)), default=-1)
        latest.append(index if _is_reduction(graph, index) else before)
    return latest
