"""The pairs of vertices found so far, and how the two of a pair differ."""

from __future__ import annotations

import re
from math import prod

from pytest_archcheck.matching.colours import Colours
from pytest_archcheck.matching.normal import NormalForm, Operand, Vertex
from pytest_archcheck.matching.results import Difference
from pytest_archcheck.matching.spellings import default_of


class Pairs:
    """Vertices of two normal forms, one to one: ``other`` by those of the first, ``one`` by those of the second."""

    def __init__(self, first: NormalForm, second: NormalForm, colours: Colours) -> None:
        self.first, self.second, self.colours = first, second, colours
        self.other: dict[int, int] = {}
        self.one: dict[int, int] = {}
        self.differences: list[Difference] = []

    def pair(self, at: int, other: int) -> None:
        """Take two vertices for the same."""
        self.other[at] = other
        self.one[other] = at

    def compare(self, one: Vertex, other: Vertex) -> None:
        """Write down every difference between two computations that were paired."""
        known = len(self.differences)
        self.settings(one, other)
        self._arrangement(one, other)
        self._parameters(one, other)
        if known == len(self.differences):
            self._results(one, other)

    def differ(self, layer: str, reference: str, attribute: str, found: str, expected: str) -> None:
        """Write down a difference."""
        self.differences.append(Difference(layer, reference, attribute, found, expected))

    def settings(self, one: Vertex, other: Vertex) -> None:
        """Another function, or other settings of the same."""
        if one.function != other.function:
            self.differ(one.name, other.name, "computes", one.function, other.function)
            return
        for key in dict.fromkeys((*one.settings, *other.settings)):
            values = [vertex.settings.get(key) or default_of(one.function, key) for vertex in (one, other)]
            if values[0] != values[1]:
                self.differ(one.name, other.name, key, values[0], values[1])

    def _arrangement(self, one: Vertex, other: Vertex) -> None:
        """Elements in another order."""
        sides = [
            [o for o in vertex.operands if form.vertices[o.source].kind != "state"]
            for form, vertex in ((self.first, one), (self.second, other))
        ]
        if one.commutative:
            sides[0].sort(key=lambda o: (self.other[o.source], o.index, o.layout))
            sides[1].sort(key=lambda o: (o.source, o.index, o.layout))
        for first, second in zip(*sides, strict=False):
            self.order(one, other, first, second)

    def order(self, one: Vertex, other: Vertex, first: Operand, second: Operand) -> None:
        """Elements in another order, where that does not follow from another shape before."""
        if first.layout != second.layout and prod(first.behind) == prod(second.behind):
            texts = (f"{_shape(o.layout)} as {o.layout}" for o in (first, second))
            self.differ(one.name, other.name, f"elements of {first.role}", *texts)

    def _results(self, one: Vertex, other: Vertex) -> None:
        """Results of another shape or type, where no operand says why."""
        operands = [sorted((o.layout, o.behind) for o in vertex.operands) for vertex in (one, other)]
        sizes = [[(dtype, prod(shape)) for dtype, shape in vertex.made] for vertex in (one, other)]
        both = min(map(len, sizes))
        if operands[0] == operands[1] and sizes[0][:both] != sizes[1][:both]:
            shown = (" ".join(f"{dtype} {list(shape)}" for dtype, shape in v.made) for v in (one, other))
            self.differ(one.name, other.name, "gives", *shown)

    def _parameters(self, one: Vertex, other: Vertex) -> None:
        """Pair the tensors of the state that two paired computations take."""
        mine, theirs = (
            [o for o in vertex.operands if form.vertices[o.source].kind == "state"]
            for form, vertex in ((self.first, one), (self.second, other))
        )
        if one.commutative:
            mine, theirs = (
                sorted(side, key=lambda o, stable=stable: (stable[o.source], o.layout))  # type: ignore[misc]
                for side, stable in zip((mine, theirs), self.colours.stable, strict=True)
            )
        roles = [[o.role for o in side] for side in (mine, theirs)]
        if len(mine) != len(theirs) or (roles[0] != roles[1] and not one.commutative):
            shown = [", ".join(side) or "none" for side in roles]
            self.differ(one.name, other.name, "parameters", shown[0], shown[1])
            return
        for first, second in zip(mine, theirs, strict=True):
            self._tensor(one, other, first, second)

    def _tensor(self, one: Vertex, other: Vertex, first: Operand, second: Operand) -> None:
        tensors = self.first.vertices[first.source], self.second.vertices[second.source]
        known, owner = self.other.get(first.source), self.one.get(second.source)
        if known is None and owner is None:
            self.state(first.source, second.source)
        elif known != second.source:
            found = f"its own ({tensors[0].name})" if known is None else f"shared with {tensors[0].name}"
            if known is not None and owner is not None:
                found += f", which is the reference's {self.second.vertices[known].name}"
            expected = f"its own ({tensors[1].name})" if owner is None else f"shared with {tensors[1].name}"
            self.differ(one.name, other.name, first.role, found, expected)
        self.order(one, other, first, second)

    def state(self, at: int, other: int) -> None:
        """Pair two tensors of the state."""
        self.pair(at, other)
        tensors = self.first.vertices[at], self.second.vertices[other]
        for key in tensors[0].settings:
            values = [tensor.settings[key] for tensor in tensors]
            if values[0] != values[1]:
                self.differ(tensors[0].name, tensors[1].name, key, values[0], values[1])
        if tensors[0].function != tensors[1].function:
            self.differ(tensors[0].name, tensors[1].name, "kind", *(t.function for t in tensors))


def _shape(layout: str) -> str:
    """The shape that a layout's text stands for: ``2×3×4``."""
    dims = layout.partition("]")[0].strip("[").split(", ")
    return "×".join(str(prod(map(int, re.findall(r"(\d+):", dim)))) for dim in dims)
