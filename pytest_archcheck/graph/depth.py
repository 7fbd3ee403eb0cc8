"""The longest path of weighted layers, and the explanation that every convention gives."""

from __future__ import annotations

from collections.abc import Callable, Set
from dataclasses import dataclass

from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.dataflow import Graph, Node
from pytest_archcheck.records import Call

NO_EDGES: frozenset[tuple[int, int]] = frozenset()


@dataclass(frozen=True, slots=True)
class Counted:
    """One layer that a convention counted; ``weight`` is how many it counts for."""

    name: str
    weight: int
    group: str


@dataclass(frozen=True, slots=True)
class LeftOut:
    """One layer that a convention did not count, and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class DepthExplanation:
    """A depth with everything behind it: ``depth`` is the sum of the weights of ``counted``."""

    convention: str
    rule: str
    counted: tuple[Counted, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def depth(self) -> int:
        """The number of layers under the convention."""
        return sum(layer.weight for layer in self.counted)

    def __str__(self) -> str:
        from pytest_archcheck.reports.depth import render_depth

        return render_depth(self)


def longest_path(
    graph: Graph,
    weigh: Callable[[Node], int] = lambda node: node.weight,
    without: Set[tuple[int, int]] = NO_EDGES,
) -> list[int]:
    """The nodes that weigh on the heaviest path from an input to the main output, in order; see ``whole_path``."""
    return [index for index in whole_path(graph, weigh, without) if weigh(graph.nodes[index])]


def whole_path(
    graph: Graph, weigh: Callable[[Node], int], without: Set[tuple[int, int]] = NO_EDGES
) -> list[int]:
    """All nodes of the heaviest path from an input to the main output, in order.

    Takes time linear in the graph. ``without`` are edges not to follow: pairs of a node and the position
    of an operand. Of equally heavy paths it is the one through the first operand.
    """
    best: list[int] = []
    back: list[int | None] = []
    for index, node in enumerate(graph.nodes):
        length, via = 0, None
        for edge in node.edges:
            if (index, edge.position) in without or not graph.nodes[edge.source].on_data:
                continue
            if via is None or best[edge.source] > length:
                length, via = best[edge.source], edge.source
        best.append(length + (weigh(node) if node.on_data else 0))
        back.append(via)
    path: list[int] = []
    at = graph.main_output
    while at is not None and graph.nodes[at].on_data:
        path.append(at)
        at = back[at]
    return path[::-1]


def weigh_path(
    graph: Graph, weigh: Callable[[Call, int], int] | None, through_gates: bool
) -> tuple[tuple[str, int], ...]:
    """The heaviest path as ids, each with its weight; see ``Trace.longest_path``."""

    def weight_of(node: Node) -> int:
        if node.call is None or weigh is None:
            return node.weight
        weight = weigh(node.call, node.weight)
        if not isinstance(weight, int) or weight < 0:
            raise UsageError(f"weigh gave {weight!r} for {node.id}; return a whole number", see="conventions")
        return int(weight)

    without = NO_EDGES if through_gates else graph.gates
    path = (graph.nodes[index] for index in longest_path(graph, weight_of, without))
    return tuple((node.id, weight_of(node)) for node in path)
