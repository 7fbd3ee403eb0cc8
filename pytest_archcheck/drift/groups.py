"""The same change of several layers, told once."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pytest_archcheck.drift.severity import Change
from pytest_archcheck.names import span
from pytest_archcheck.records import LayerCall
from pytest_archcheck.traces import Trace

_NUMBER = re.compile(r"\d+")
_NAMES_SHOWN = 3
_MOST = 10
"""Above this number of groups, changes of one attribute are one group whatever the values: a net of another width."""


@dataclass(frozen=True, slots=True)
class Group:
    """Changes of one attribute from one value to one other, in layers of one class.

    ``of`` is how many such layers there are: with names of this ``place`` (``encoder.layers.*.norm``) where there is
    one, else of this class.
    """

    changes: tuple[Change, ...]
    place: str
    of: int

    @property
    def first(self) -> Change:
        """The first of the changes; the others are like it."""
        return self.changes[0]

    @property
    def is_everywhere(self) -> bool:
        """Whether several layers changed, and all that there are."""
        return 1 < len(self.changes) == self.of

    def __str__(self) -> str:
        change = self.first
        if len(self.changes) == 1:
            return str(change)
        number = len(self.changes)
        if change.attribute == "name":
            return f"{span(c.before for c in self.changes)} renamed to {span(c.after for c in self.changes)}"
        what = f"{change.attribute} {self._states()}"
        if self.is_everywhere and self.place:
            blocks, inner = _split(self.place)
            return f"in {number} of {self.of} {blocks}: {inner}{what}"
        if self.is_everywhere:
            return f"in {number} of {self.of} {self._kind()}: {what}"
        names = span(c.layer for c in self.changes) if self.place else self._names()
        share = f"{number} of {self.of}{'' if self.place else ' ' + self._kind()}"
        return f"{names} {what} ({share})" if self.of > number else f"{names} {what}"

    def _kind(self) -> str:
        return self.first.kind.rpartition(".")[2]

    def _states(self) -> str:
        states = list(dict.fromkeys(f"{change.before} → {change.after}" for change in self.changes))
        more = f", … and {len(states) - _NAMES_SHOWN} more" if len(states) > _NAMES_SHOWN else ""
        return ", ".join(states[:_NAMES_SHOWN]) + more

    def _names(self) -> str:
        names = [change.layer for change in self.changes]
        if len(names) <= _NAMES_SHOWN:
            return ", ".join(names)
        return f"{names[0]}, {names[1]}, … {names[-1]}"


def grouped(changes: Sequence[Change], sizes: Sizes) -> Iterator[Group]:
    """Changes in groups, in the order of their first ones."""
    alike: dict[Hashable, list[Change]] = defaultdict(list)
    for key in (_key, _rough_key):
        alike.clear()
        for change in changes:
            alike[key(change)].append(change)
        if len(alike) <= _MOST:
            break
    for members in alike.values():
        patterns = tuple(dict.fromkeys(pattern(change.layer, change.kind) for change in members))
        yield sizes.group(members, patterns)


def grouped_by_place(changes: Sequence[Change], sizes: Sizes) -> Iterator[Group]:
    """The same with whatever values: shapes that follow differ from stage to stage."""
    alike: dict[tuple[str, str, str], list[Change]] = defaultdict(list)
    for change in changes:
        alike[pattern(change.layer, change.kind), change.attribute, change.kind].append(change)
    for (place, _, _), members in alike.items():
        yield sizes.group(members, (place,))


def _key(change: Change) -> Hashable:
    shifts = change.attribute == "name" or change.attribute.startswith(("input", "source"))
    states = (pattern(s) if shifts else s for s in (change.before, change.after))
    place = pattern(change.layer, change.kind) if shifts or change.attribute == "call" else ""
    return place, change.kind, change.attribute, *states, change.severity


def _rough_key(change: Change) -> Hashable:
    return change.kind, change.attribute, change.severity


class Sizes:
    """How many layers, ops and tensors of a class, and of a pattern, there are in either trace."""

    def __init__(self, before: Trace, after: Trace) -> None:
        self.names: tuple[dict[str, list[str]], ...] = tuple(_by_kind(trace) for trace in (before, after))

    def group(self, changes: list[Change], patterns: tuple[str, ...]) -> Group:
        """A group with the number that some changed layers are part of."""
        number, kind = len(changes), changes[0].kind
        of = max(len(names[kind]) for names in self.names)
        if len(patterns) > 1 or number == 1:
            return Group(tuple(changes), "" if number > 1 else patterns[0], of)
        place = max(sum(pattern(name, kind) == patterns[0] for name in names[kind]) for names in self.names)
        if of == number and (place != number or patterns[0].endswith("*")):
            return Group(tuple(changes), "", of)
        return Group(tuple(changes), patterns[0], place)


def _by_kind(trace: Trace) -> dict[str, list[str]]:
    """The names of all layers, ops and tensors by class, function, and kind."""
    found: dict[str, list[str]] = defaultdict(list)
    for module in trace.modules:
        found[module.type].append(module.name)
    for call in trace.calls:
        if not isinstance(call, LayerCall):
            found[call.function].append(call.id)
    for tensor in trace.state:
        found[tensor.kind].append(tensor.name)
    return found


@lru_cache(maxsize=65536)
def pattern(name: str, kind: str = "") -> str:
    """A name with ``*`` for the numbers of blocks: ``encoder.layers.*.norm1``, of which ``norm1`` keeps its own.

    Modules of a class that is not torch's are blocks themselves: ``denseblock1.denselayer7``.
    """
    parts = name.split(".")
    starred = [_NUMBER.sub("*", part) for part in parts[:-1]]
    last = parts[-1]
    head, colon, function = last.partition(":")
    if colon:
        last = f"{_NUMBER.sub('*', head)}:{function}"
    elif last.isdecimal():
        last = "*"
    elif "." in kind:
        last = _NUMBER.sub("*", last)
    return ".".join((*starred, last))


def _split(place: str) -> tuple[str, str]:
    """The blocks of a pattern, and what lies in each of them."""
    head, star, inner = place.rpartition("*")
    inner = inner.lstrip(".")
    return f"{head}{star}" or place, f"{inner} " if inner else ""
