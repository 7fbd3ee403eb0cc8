"""Which nodes of a picture stand below each other, so that a long model fits on a page that lies on its side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from pytest_archcheck.graph.picture import Cluster, Member, Picture

_TALLEST = 12
_SHORTEST = 3


def columns(picture: Picture) -> list[list[str]]:
    """The ids of the nodes of each column, in order: a new one for each stage, and where one gets too tall."""
    tallest = max(_TALLEST, len(picture.nodes) // 6)
    found: list[list[str]] = []
    height = 0
    for names, begins in _pieces(picture.members, tallest):
        added = _height(names, picture)
        if not found or height + added > tallest or (begins and height >= _SHORTEST):
            found.append([])
            height = 0
        found[-1] += names
        height += added
    return found


def _height(names: list[str], picture: Picture) -> int:
    """How many nodes follow each other at most."""
    below = dict.fromkeys(names, 1)
    for edge in picture.edges:  # in order of execution
        if edge.source in below and edge.target in below:
            below[edge.target] = max(below[edge.target], below[edge.source] + 1)
    return max(below.values())


def _pieces(members: Iterable[Member], tallest: int) -> Iterator[tuple[list[str], bool]]:
    """What stays together, a node or a cluster that is not too tall; and whether a column may begin with it."""
    for member in members:
        if not isinstance(member, Cluster):
            yield [member.id], False
            continue
        names = [node.id for node in member.nodes]
        if len(names) > tallest and any(isinstance(inner, Cluster) for inner in member.members):
            yield from _pieces(member.members, tallest)
        else:
            yield names, len(names) >= _SHORTEST and not (member.is_block and member.times == 1)
