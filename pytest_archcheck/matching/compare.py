"""Whether two models have the same architecture up to names, and which name of one is which of the other.

Both traces are brought into normal form, and computations are paired in order of execution: same operands, same
function, same settings, same use further on. The pairing is a proof: every pair computes the same from paired operands,
parameters pair one to one, and the outputs pair in order. What cannot be paired is a difference.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Iterator
from typing import Any

from pytest_archcheck.collector import collector_off
from pytest_archcheck.errors import noted
from pytest_archcheck.matching.colours import Colours
from pytest_archcheck.matching.names import map_names
from pytest_archcheck.matching.normal import NormalForm, Operand, Vertex, normal_form
from pytest_archcheck.matching.pairs import Pairs
from pytest_archcheck.matching.results import Difference, Match
from pytest_archcheck.traces import Trace

_Place = tuple[tuple[int, int, str, str], ...]


@collector_off()
def match(trace: Trace, reference: Trace) -> Match:
    """Compare two traces up to names.

    Raises:
        TypeError: an argument is no trace.
    """
    for given in (trace, reference):
        if not isinstance(given, Trace):
            raise noted(
                TypeError(
                    f"same_as() compares traces and was given {type(given).__name__}; "
                    "make one with trace(model, inputs)"
                ),
                "structure",
            )
    return _Matching(trace, reference).match()


class _Matching:
    def __init__(self, trace: Trace, reference: Trace) -> None:
        self.traces = (trace, reference)
        self.first, self.second = normal_form(trace), normal_form(reference)
        self.colours = Colours(self.first, self.second)
        self.pairs = Pairs(self.first, self.second, self.colours)
        self.differences = self.pairs.differences
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
        self._unknown()
        mapping = None
        state = {
            self.first.vertices[a].name: self.second.vertices[b].name
            for a, b in self.pairs.other.items()
            if self.first.vertices[a].kind == "state"
        }
        if not self.differences:
            mapping, unused = map_names(*self.traces, state)
            self.differences += [Difference(*parts) for parts in unused]
        elif self.structural:
            self._sizes()
        by_shape = tuple(v.name for v in self.first.vertices if v.settings.get("saved") == "False")
        mapping = None if self.differences else mapping
        return Match(tuple(self.differences), mapping, tuple(self.ambiguous), by_shape, state)

    # -- pairing -----------------------------------------------------------------------------------

    def _mode(self) -> None:
        modes = ["train" if trace.training else "eval" for trace in self.traces]
        if modes[0] != modes[1]:
            self.pairs.differ("the model", "the model", "mode", modes[0], modes[1])

    def _inputs(self) -> None:
        inputs = [[v for v in form.vertices if v.kind == "input"] for form in (self.first, self.second)]
        if len(inputs[0]) != len(inputs[1]):
            self.pairs.differ("the model", "the model", "inputs", *(str(len(side)) for side in inputs))
        for at, (one, other) in enumerate(zip(*inputs, strict=False)):
            self.pairs.pair(at, at)
            self.pairs.settings(one, other)

    def _call(self, at: int, vertex: Vertex) -> None:
        place = self._place(self.first, vertex, self.pairs.other)
        if place is None:
            return  # follows from a difference above
        other: int | None = None
        for wanted in (place, _sources(place)):
            free = [other for other in self.by_place.get(wanted, ()) if other not in self.pairs.one]
            other = self._choice(at, [i for i in free if self.second.vertices[i].function == vertex.function])
            if other is not None:
                break
        if other is None:
            other = self._replacement(at, free)
            if other is None:
                self._structure(vertex, free)
                return
        self.pairs.pair(at, other)
        self.pairs.compare(vertex, self.second.vertices[other])

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

    def _structure(self, vertex: Vertex, free: list[int]) -> None:
        """The first place where the structure differs; what comes after it follows."""
        if self.structural:
            return
        self.structural = True
        place = self._place(self.first, vertex, self.pairs.other)
        turned = self._turned(vertex, place)
        if turned is not None:
            sides = (self.first, vertex), (self.second, turned)
            mine, theirs = (self._operands(form, v) for form, v in sides)
            if mine == theirs:
                mine, theirs = (
                    ", ".join(f"{o.role} {self._name(form, o)}" for o in v.operands) for form, v in sides
                )
            self.pairs.differ(vertex.name, turned.name, "operands", mine, theirs)
            return
        others = [self.second.vertices[i] for i in free] or list(self._waiting())
        after = self._operands(self.first, vertex)
        there = "; ".join(dict.fromkeys(f"{other.function} ({other.name})" for other in others[:3]))
        where = f"after {after}"
        self.pairs.differ(
            vertex.name,
            others[0].name if others else "",
            where,
            vertex.function,
            there or "nothing of the kind",
        )

    def _turned(self, vertex: Vertex, place: _Place | None) -> Vertex | None:
        """The same function on the same operands in another order."""
        wanted = sorted(_sources(place)[1:], key=str)
        for at, other in enumerate(self.second.vertices):
            if at in self.pairs.one or other.function != vertex.function or other.kind != "call":
                continue
            found = [(s, i) for s, i, *_ in self._place(self.second, other, None) or ()]
            if sorted(found, key=str) == sorted(((s, i) for s, i, _ in wanted), key=str):
                return other
        return None

    def _waiting(self) -> Iterator[Vertex]:
        """The first computation of the reference that nothing was paired with, where all that it takes was."""
        for at, vertex in enumerate(self.second.vertices):
            sources = [o.source for o in vertex.operands if self.second.vertices[o.source].kind != "state"]
            if (
                vertex.kind == "call"
                and at not in self.pairs.one
                and all(s in self.pairs.one for s in sources)
            ):
                yield vertex
                return

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
        for vertex in self._waiting():
            after = self._operands(self.second, vertex)
            self.pairs.differ("", vertex.name, f"after {after}", "nothing of the kind", vertex.function)

    def _outputs(self) -> None:
        mine, theirs = self.first.outputs, self.second.outputs
        if len(mine) != len(theirs):
            self.pairs.differ("the model", "the model", "outputs", str(len(mine)), str(len(theirs)))
        for one, other in zip(mine, theirs, strict=False):
            paired = self.pairs.other.get(one.source)
            if paired is None and other.source not in self.pairs.one and self._is_state(one, other):
                self.pairs.state(one.source, other.source)
                paired = other.source
            mine_by, theirs_by = self.first.vertices[one.source], self.second.vertices[other.source]
            if paired == other.source and one.index == other.index:
                self.pairs.order(mine_by, theirs_by, one, other)
            elif paired is not None or not self.structural:
                made = f"made by {mine_by.name}", f"made by {theirs_by.name}"
                self.pairs.differ(mine_by.name, theirs_by.name, one.role, *made)

    def _is_state(self, one: Operand, other: Operand) -> bool:
        ends = self.first.vertices[one.source], self.second.vertices[other.source]
        return all(vertex.kind == "state" for vertex in ends)

    def _unknown(self) -> None:
        """What no recorded call made cannot be shown to be the same."""
        for form, trace in ((self.first, "layer"), (self.second, "reference")):
            for vertex in form.vertices:
                if vertex.function == "opaque":
                    names = (vertex.name, "") if trace == "layer" else ("", vertex.name)
                    self.pairs.differ(
                        *names, "made by", "what was not recorded (opaque)", "something that can be compared"
                    )

    def _sizes(self) -> None:
        """Another number of layers is said first: a lost block is more than its first layer."""
        numbers = [str(trace.depth("weighted")) for trace in self.traces]
        if numbers[0] != numbers[1]:
            name = "the model"
            self.differences.insert(0, Difference(name, name, "weighted layers", numbers[0], numbers[1]))


def _sources(place: _Place | None) -> tuple[Any, ...]:
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
