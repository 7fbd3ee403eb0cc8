"""Whether two models have the same architecture up to names, and which name of one is which of the other.

Both traces are brought into normal form, and computations are paired in order of execution: same operands, same
function, same settings, same use further on. The pairing is a proof: every pair computes the same from paired operands,
parameters pair one to one, and the outputs pair in order. What cannot be paired is a difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from math import prod

from pytest_archcheck.matching.colours import Colours
from pytest_archcheck.matching.names import NameMapping, map_names
from pytest_archcheck.matching.normal import NormalForm, Operand, Vertex, normal_form
from pytest_archcheck.matching.spellings import default_of
from pytest_archcheck.traces import Trace


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two models differ: ``layer`` of the one, ``reference`` of the other; ``""`` where there is none."""

    layer: str
    reference: str
    attribute: str
    found: str
    expected: str

    def __str__(self) -> str:
        place = (
            self.layer if self.layer == self.reference else f"{self.layer or '–'} ↔ {self.reference or '–'}"
        )
        return f"{place}: {self.attribute} {self.found}, in the reference {self.expected}"


@dataclass(frozen=True, slots=True)
class Match:
    """The comparison of two models up to names; true where they have the same architecture.

    ``mapping`` gives each name of the state dict its name in the reference, and is ``None`` where they differ.
    ``differences`` are in order of execution, and where the structure differs the first of it. ``ambiguous`` are groups
    of calls that could be paired otherwise as well (identical branches); they are paired in order of execution.
    """

    differences: tuple[Difference, ...]
    mapping: NameMapping | None
    ambiguous: tuple[tuple[str, ...], ...]

    def __bool__(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        from pytest_archcheck.reports.match import render_match

        return render_match(self)


_Place = tuple[tuple[int, int, str, str], ...]


def match(trace: Trace, reference: Trace) -> Match:
    """Compare two traces up to names.

    Raises:
        TypeError: an argument is no trace.
    """
    for given in (trace, reference):
        if not isinstance(given, Trace):
            raise TypeError(
                f"same_as() compares traces and was given {type(given).__name__}; make one with trace(model, inputs)"
            )
    return _Matching(trace, reference).match()


class _Matching:
    def __init__(self, trace: Trace, reference: Trace) -> None:
        self.traces = (trace, reference)
        self.first, self.second = normal_form(trace), normal_form(reference)
        self.colours = Colours(self.first, self.second)
        self.pairs: dict[int, int] = {}
        self.taken: dict[int, int] = {}
        self.differences: list[Difference] = []
        self.ambiguous: list[tuple[str, ...]] = []
        self.structural = False
        self.by_place: dict[Hashable, list[int]] = defaultdict(list)
        """The computations of the second model by what they take, and by that without the arrangement of elements."""
        for at, vertex in enumerate(self.second.vertices):
            if vertex.kind == "call":
                self.by_place[self._place(self.second, vertex, None)].append(at)
                self.by_place[_sources(self._place(self.second, vertex, None))].append(at)
        self.alike = [_classes(colours) for colours in self.colours.stable]

    def match(self) -> Match:
        self._mode()
        self._inputs()
        for at, vertex in enumerate(self.first.vertices):
            if vertex.kind == "call":
                self._call(at, vertex)
        self._rest()
        self._outputs()
        mapping = None
        if not self.differences:
            state = {self.first.vertices[a].name: self.second.vertices[b].name for a, b in self.pairs.items()}
            mapping, unused = map_names(*self.traces, state)
            self.differences += [Difference(*parts) for parts in unused]
        return Match(tuple(self.differences), None if self.differences else mapping, tuple(self.ambiguous))

    # -- pairing -----------------------------------------------------------------------------------

    def _mode(self) -> None:
        modes = ["train" if trace.training else "eval" for trace in self.traces]
        if modes[0] != modes[1]:
            self._differ("the model", "the model", "mode", modes[0], modes[1])

    def _inputs(self) -> None:
        inputs = [[v for v in form.vertices if v.kind == "input"] for form in (self.first, self.second)]
        if len(inputs[0]) != len(inputs[1]):
            self._differ("the model", "the model", "inputs", *(str(len(side)) for side in inputs))
        for at, (one, other) in enumerate(zip(*inputs, strict=False)):
            self._pair(at, at)
            self._settings(one, other)

    def _call(self, at: int, vertex: Vertex) -> None:
        place = self._place(self.first, vertex, self.pairs)
        if place is None:
            return  # follows from a difference above
        other: int | None = None
        for wanted in (place, _sources(place)):
            free = [other for other in self.by_place.get(wanted, ()) if other not in self.taken]
            other = self._choice(at, [i for i in free if self.second.vertices[i].function == vertex.function])
            if other is not None:
                break
        if other is None:
            other = self._replacement(at, free)
            if other is None:
                self._structure(vertex, free)
                return
        self._pair(at, other)
        self._settings(vertex, self.second.vertices[other])
        self._arrangement(vertex, self.second.vertices[other])
        self._parameters(vertex, self.second.vertices[other])

    def _choice(self, at: int, candidates: list[int]) -> int | None:
        """The candidate that is used most alike; among equals the first in order of execution."""
        if len(candidates) <= 1:
            return candidates[0] if candidates else None
        one, other = self.colours.stable
        same = [i for i in candidates if other[i] == one[at]]
        if same:
            if len(same) > 1 and len(self.alike[0][one[at]]) > 1:
                self.ambiguous.append(tuple(self.first.vertices[i].name for i in self.alike[0][one[at]]))
            return same[0]
        one_near, other_near = self.colours.nearby[0][at], self.colours.nearby[1]
        return max(candidates, key=lambda i: (_agreed(one_near, other_near[i]), -i))

    def _replacement(self, at: int, free: list[int]) -> int | None:
        """A call of another function that is used alike: ReLU become GELU, which does not end the pairing."""
        near, others = self.colours.nearby[0][at], self.colours.nearby[1]
        users = self._uses(self.first, at)
        alike = [i for i in free if self._uses(self.second, i) == users and near[0] != others[i][0]]
        alike = [
            i for i in alike if len(self.second.vertices[i].operands) == len(self.first.vertices[at].operands)
        ]
        return alike[0] if len(alike) == 1 == len(free) else None

    def _uses(self, form: NormalForm, at: int) -> list[tuple[str, str]]:
        users = self.colours.users(form, at)
        return sorted((form.vertices[user].function if user >= 0 else "", o.role) for user, o in users)

    def _pair(self, at: int, other: int) -> None:
        self.pairs[at] = other
        self.taken[other] = at

    @staticmethod
    def _place(form: NormalForm, vertex: Vertex, pairs: dict[int, int] | None) -> _Place | None:
        """What a computation takes of inputs and of other computations; ``None`` where that is not paired."""
        found = []
        for operand in vertex.operands:
            source = operand.source
            if form.vertices[source].kind == "state":
                continue
            if pairs is not None:
                if source not in pairs:
                    return None
                source = pairs[source]
            role = "" if vertex.commutative else operand.role
            found.append((source, operand.index, operand.layout, role))
        return tuple(sorted(found)) if vertex.commutative else tuple(found)

    # -- differences -------------------------------------------------------------------------------

    def _differ(self, layer: str, reference: str, attribute: str, found: str, expected: str) -> None:
        self.differences.append(Difference(layer, reference, attribute, found, expected))

    def _settings(self, one: Vertex, other: Vertex) -> None:
        if one.function != other.function:
            self._differ(one.name, other.name, "computes", one.function, other.function)
            return
        for key in dict.fromkeys((*one.settings, *other.settings)):
            values = [vertex.settings.get(key) or default_of(one.function, key) for vertex in (one, other)]
            if values[0] != values[1]:
                self._differ(one.name, other.name, key, values[0], values[1])

    def _arrangement(self, one: Vertex, other: Vertex) -> None:
        """Elements in another order."""
        sides = [
            [o for o in vertex.operands if form.vertices[o.source].kind != "state"]
            for form, vertex in ((self.first, one), (self.second, other))
        ]
        if one.commutative:
            sides[0].sort(key=lambda o: (self.pairs[o.source], o.index, o.layout))
            sides[1].sort(key=lambda o: (o.source, o.index, o.layout))
        for first, second in zip(*sides, strict=False):
            self._order(one, other, first, second)

    def _order(self, one: Vertex, other: Vertex, first: Operand, second: Operand) -> None:
        """Elements in another order, where that does not follow from another shape before."""
        if first.layout != second.layout and prod(first.behind) == prod(second.behind):
            self._differ(one.name, other.name, f"elements of {first.role}", first.layout, second.layout)

    def _parameters(self, one: Vertex, other: Vertex) -> None:
        """Pair the tensors of the state that two paired computations take."""
        mine, theirs = (
            [o for o in vertex.operands if form.vertices[o.source].kind == "state"]
            for form, vertex in ((self.first, one), (self.second, other))
        )
        roles = [[o.role for o in side] for side in (mine, theirs)]
        if len(mine) != len(theirs) or (roles[0] != roles[1] and not one.commutative):
            shown = [", ".join(side) or "none" for side in roles]
            self._differ(one.name, other.name, "parameters", shown[0], shown[1])
            return
        for first, second in zip(mine, theirs, strict=True):
            self._tensor(one, other, first, second)

    def _tensor(self, one: Vertex, other: Vertex, first: Operand, second: Operand) -> None:
        tensors = self.first.vertices[first.source], self.second.vertices[second.source]
        known, owner = self.pairs.get(first.source), self.taken.get(second.source)
        if known is None and owner is None:
            self._pair(first.source, second.source)
            for key in tensors[0].settings:
                values = [tensor.settings[key] for tensor in tensors]
                if values[0] != values[1]:
                    self._differ(tensors[0].name, tensors[1].name, key, values[0], values[1])
            if tensors[0].function != tensors[1].function:
                self._differ(tensors[0].name, tensors[1].name, "kind", *(t.function for t in tensors))
        elif known != second.source:
            shared = [
                f"shared with {vertex.name}" if is_known else f"its own ({vertex.name})"
                for vertex, is_known in zip(tensors, (known is not None, owner is not None), strict=True)
            ]
            self._differ(one.name, other.name, first.role, shared[0], shared[1])
        self._order(one, other, first, second)

    def _structure(self, vertex: Vertex, free: list[int]) -> None:
        """The first place where the structure differs; what comes after it follows."""
        if self.structural:
            return
        self.structural = True
        others = [self.second.vertices[i] for i in free]
        after = self._operands(self.first, vertex)
        there = "; ".join(dict.fromkeys(f"{other.function} ({other.name})" for other in others[:3]))
        where = f"after {after}"
        self._differ(
            vertex.name,
            others[0].name if others else "",
            where,
            vertex.function,
            there or "nothing of the kind",
        )

    def _operands(self, form: NormalForm, vertex: Vertex) -> str:
        data = (o for o in vertex.operands if form.vertices[o.source].kind != "state")
        return " and ".join(dict.fromkeys(self._name(form, o) for o in data)) or "parameters alone"

    @staticmethod
    def _name(form: NormalForm, operand: Operand) -> str:
        return form.vertices[operand.source].name

    def _rest(self) -> None:
        """Computations of the reference that nothing was paired with, where all that they take was."""
        if self.structural:
            return
        for at, vertex in enumerate(self.second.vertices):
            sources = [o.source for o in vertex.operands if self.second.vertices[o.source].kind != "state"]
            if vertex.kind == "call" and at not in self.taken and all(s in self.taken for s in sources):
                after = self._operands(self.second, vertex)
                self._differ("", vertex.name, f"after {after}", "nothing of the kind", vertex.function)
                return

    def _outputs(self) -> None:
        mine, theirs = self.first.outputs, self.second.outputs
        if len(mine) != len(theirs):
            self._differ("the model", "the model", "outputs", str(len(mine)), str(len(theirs)))
        for one, other in zip(mine, theirs, strict=False):
            paired = self.pairs.get(one.source)
            mine_by, theirs_by = self.first.vertices[one.source], self.second.vertices[other.source]
            if paired == other.source and one.index == other.index:
                self._order(mine_by, theirs_by, one, other)
            elif paired is not None or not self.structural:
                made = f"made by {mine_by.name}", f"made by {theirs_by.name}"
                self._differ(mine_by.name, theirs_by.name, one.role, *made)


def _sources(place: _Place | None) -> Hashable:
    """The place without the arrangement of elements."""
    assert place is not None
    return ("sources", *((source, index, role) for source, index, _, role in place))


def _agreed(one: Iterable[int], other: Iterable[int]) -> int:
    """How many rounds two calls look alike."""
    return sum(a == b for a, b in zip(one, other, strict=True))


def _classes(colours: list[int]) -> dict[int, list[int]]:
    found: dict[int, list[int]] = defaultdict(list)
    for at, colour in enumerate(colours):
        found[colour].append(at)
    return found
