"""The rows of a model's table: its outline, opened down to the repeated blocks, with what is alike folded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pytest_archcheck.graph.outline import Outline, Run, Unit, fold, outline
from pytest_archcheck.names import span
from pytest_archcheck.records import LayerCall, Op
from pytest_archcheck.traces import Trace

_LISTS = {"Sequential", "ModuleList", "ModuleDict"}
_NAMED = 3
"""How many functions in a row are named."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: a unit, several that are alike, several functions, or what was not used (no ``unit``).

    ``level`` is how deep it lies below other rows; a row that is ``open`` has its numbers in the rows below it too.
    """

    level: int
    name: str
    kind: str
    unit: Unit | None
    is_open: bool
    params: int
    trainable: int
    macs: int
    depth: int
    uncounted: tuple[str, ...]


def rows_of(trace: Trace, *, full: bool = False, convention: str = "paper") -> list[Row]:
    """The rows of a table; ``full`` is every call in a row of its own, with its own numbers.

    The numbers of the rows that are not open sum up to the trace's.

    Raises:
        UsageError: there is no convention of that name.
    """
    found = outline(trace, convention)
    return [*_Rows(trace, full).below(found.units), *_unused(found)]


class _Rows:
    def __init__(self, trace: Trace, full: bool) -> None:
        self.full = full
        self.blocks = {call.name for stage in trace.stage_calls for call in stage}
        self.holders = {name for block in self.blocks for name in _above(block)}
        self.weighted = len(trace.graph.weighted)

    def below(self, units: Sequence[Unit]) -> Iterator[Row]:
        """The rows of units, each followed by those inside of it."""
        stack = [(run, 0, "") for run in reversed(self._runs(units))]
        while stack:
            run, depth, parent = stack.pop()
            unit = run.first
            is_open = self._opens(unit)
            yield self._row(run, depth, parent, is_open)
            if is_open:
                stack += [(inner, depth + 1, unit.name) for inner in reversed(self._runs(unit.parts))]

    def _runs(self, units: Sequence[Unit]) -> list[Run]:
        if self.full:
            return [Run((unit,)) for unit in units]
        runs: list[Run] = []
        for run in fold(units, lambda unit: None if _is_plain(unit) else unit.figures):
            runs += [Run((unit,)) for unit in run.units] if self._opens(run.first) else [run]
        return runs

    def _opens(self, unit: Unit) -> bool:
        if self.full or not unit.parts:
            return bool(unit.parts)
        has_own = unit.macs > sum(part.macs for part in unit.parts)  # by a formula for the module
        if has_own or not isinstance(unit.call, LayerCall) or unit.call.name in self.blocks:
            return False
        name = unit.call.name
        is_in_block = any(above in self.blocks for above in _above(name))
        return name in self.holders or (not is_in_block and (unit.call.type in _LISTS or self._is_most(unit)))

    def _is_most(self, unit: Unit) -> bool:
        """Whether a module is a shell around most of the model."""
        weighted, stack = 0, [unit]
        while stack:
            part = stack.pop()
            stack += part.parts
            weighted += bool(part.macs) and not part.parts
        return 2 * weighted > self.weighted

    def _row(self, run: Run, level: int, above: str, is_open: bool) -> Row:
        unit = run.first
        names = [
            unit.name.removeprefix(f"{above}.").removeprefix(above) if above else unit.name
            for unit in run.units
        ]
        if len(names) == 1:
            name, kind = names[0], unit.kind
        elif _is_plain(unit):
            name = f"{len(names)} functions"
            kinds = list(dict.fromkeys(unit.kind for unit in run.units))
            kind = ", ".join(kinds[:_NAMED]) + (", …" if len(kinds) > _NAMED else "")
        else:
            name, kind = span(names), f"{len(names)} × {unit.kind}"
        last = run.units[-1] if _is_plain(unit) else unit
        own = self.full and bool(unit.parts)
        parts = [part for each in run.units for part in each.parts] if own else []
        return Row(
            level,
            name,
            kind,
            last,
            is_open and not own,
            run.total(lambda each: each.params) - sum(part.params for part in parts),
            run.total(lambda each: each.trainable) - sum(part.trainable for part in parts),
            run.total(lambda each: each.macs) - sum(part.macs for part in parts),
            run.total(lambda each: each.depth) - sum(part.depth for part in parts),
            () if own else tuple(name for each in run.units for name in each.uncounted),
        )


def _unused(found: Outline) -> Iterator[Row]:
    for module in found.unused:
        name = "the model's own" if module.name == "." else module.name
        kind = f"{module.kind}, not used"
        yield Row(0, name, kind, None, False, module.params, module.trainable, 0, 0, ())


def _is_plain(unit: Unit) -> bool:
    """Whether a unit is a function that costs nothing."""
    return isinstance(unit.call, Op) and not (unit.macs or unit.params or unit.depth or unit.uncounted)


def _above(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:end]) for end in range(1, len(parts))]
