"""The causes of a drift, by the call of the trace after that they are told at."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator
from typing import TYPE_CHECKING

from pytest_archcheck.drift.severity import ABSENT, Change
from pytest_archcheck.graph.outline import Unit
from pytest_archcheck.names import span
from pytest_archcheck.records import LayerCall
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from pytest_archcheck.drift.compare import Drift


class Told:
    """Where each cause of a drift is told: at a call, as a call that is gone, or beside the picture."""

    def __init__(self, trace: Trace, drift: Drift | None) -> None:
        self.at: dict[str, list[Change]] = defaultdict(list)
        """By the id of the call, input or output (``out:…``)."""
        self.gone: list[Change] = []
        self.beside: list[Change] = []
        self._known = set(trace.by_id) | {f"in:{spec.path}" for spec in trace.inputs}
        self._inside: dict[int, tuple[Hashable, ...]] = {}
        self._kept: list[Unit] = []
        modules = {call.name: call.id for call in reversed(trace.layers)}
        before = drift.before.by_id if drift else {}
        for change in drift.causes if drift else ():
            home = self._home(change.layer, modules)
            if change.layer in self._known:
                self.at[change.layer].append(change)
            elif change.after == ABSENT and change.layer in before:
                self.gone.append(change)
            elif home is not None:
                self.at[home].append(change)
            elif change.layer.startswith("output"):
                self.at[f"out:{change.layer.removeprefix('output').strip()}"].append(change)
            else:
                self.beside.append(change)

    def _home(self, layer: str, modules: dict[str, str]) -> str | None:
        """The call of the nearest module that holds what changed."""
        name = layer.partition("#")[0].replace(":", ".")
        while name and name not in modules:
            name = name.rpartition(".")[0]
        return modules.get(name)

    def changes(self, unit: Unit) -> Iterator[Change]:
        """The changes of a unit and all inside, in order of execution."""
        stack = [unit]
        while stack:
            at = stack.pop()
            yield from self.at.get(at.name, ())
            stack += at.parts[::-1]

    def key(self, unit: Unit) -> Hashable:
        """The same for units in which the same changed."""
        if not self.at:
            return ()
        if id(unit) not in self._inside:
            name = unit.call.name if isinstance(unit.call, LayerCall) else unit.name
            self._inside[id(unit)] = tuple(
                (change.layer.removeprefix(name), change.attribute, change.before, change.after)
                for change in self.changes(unit)
            )
            self._kept.append(unit)  # so that no other gets its id
        return self._inside[id(unit)]


def texts(changes: Iterable[Change], plain: Collection[str] = ()) -> list[str]:
    """The changes in words, the same ones of several layers as one; without the names of the layers in ``plain``."""
    alike: dict[Hashable, list[Change]] = defaultdict(list)
    for change in changes:
        alike[change.attribute, change.before, change.after, change.layer in plain].append(change)
    return [_text(members, plain) for members in alike.values()]


def _text(changes: list[Change], plain: Collection[str]) -> str:
    change = changes[0]
    if change.layer in plain and change.attribute != "name":
        return f"{change.attribute} {change.before} → {change.after}"
    if len(changes) == 1 or change.attribute == "name":
        return str(change)
    layers = span(dict.fromkeys(other.layer for other in changes))
    return f"{layers} {change.attribute} {change.before} → {change.after}"
