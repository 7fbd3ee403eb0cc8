"""Projection shortcuts: weighted layers on the short side of a residual sum."""

from __future__ import annotations

from pytest_archcheck.graph.dataflow import Graph
from pytest_archcheck.records import Op


def projection_shortcuts(graph: Graph) -> dict[int, str]:
    """Weighted nodes on a residual sum's shorter branch, each with the id of the sum.

    A branch is followed back from the sum, through calls with one data operand, to where it meets the other
    branch; it is the shortcut when it holds fewer weighted layers than the other.
    """
    found: dict[int, str] = {}
    for node in graph.nodes:
        call = node.call
        if not (isinstance(call, Op) and call.function == "add" and len(node.edges) == 2):
            continue
        first, second = (_branch(graph, edge.source) for edge in node.edges)
        meeting = max(set(first) & set(second), default=-1)
        sides = [[i for i in side if i > meeting and graph.nodes[i].weight] for side in (first, second)]
        short, long = sorted(sides, key=lambda side: sum(graph.nodes[i].weight for i in side))
        if short and len(short) < len(long):
            found.update(dict.fromkeys(short, call.id))
    return found


def _branch(graph: Graph, start: int) -> list[int]:
    """The chain of calls behind a node, up to the next sum or other meeting of data (included)."""
    chain: list[int] = []
    at: int | None = start
    while at is not None:
        chain.append(at)
        data = [e.source for e in graph.nodes[at].edges if graph.nodes[e.source].on_data]
        at = data[0] if len(set(data)) == 1 else None
    return chain
