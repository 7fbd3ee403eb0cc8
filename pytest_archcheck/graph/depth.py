"""The longest path of weighted layers, and the explanation that every convention gives."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass

from pytest_archcheck.graph.dataflow import Graph, is_recurrent_cell

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


def longest_path(graph: Graph, without: Set[tuple[int, int]] = NO_EDGES) -> list[int]:
    """The weighted nodes on the path from input to main output that holds most of them, in order.

    Takes time linear in the graph. ``without`` are edges not to follow: pairs of a node and the position
    of an operand. Of equally long paths it is the one through the first operand.
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
        best.append(length + (node.weight if node.on_data and not is_recurrent_cell(node.call) else 0))
        back.append(via)
    path: list[int] = []
    at = graph.main_output
    while at is not None:
        if graph.nodes[at].weight:
            path.append(at)
        at = back[at]
    return _cells_once(graph, path[::-1])


def _cells_once(graph: Graph, path: list[int]) -> list[int]:
    """A recurrent cell counts once, however often the path goes through it."""
    seen: set[str] = set()
    kept: list[int] = []
    for index in path:
        node = graph.nodes[index]
        if is_recurrent_cell(node.call):
            if node.key in seen:
                continue
            seen.add(node.key)
        kept.append(index)
    return kept
