"""What of a model a picture shows: its calls cut into cells, each open with cells inside, or closed.

Modules that hold blocks and plain lists are open, blocks are open by one level, and what is alike and runs in sequence
is one cell. A cut at another ``Level`` shows less.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeAlias

from pytest_archcheck.graph.outline import Unit
from pytest_archcheck.names import span
from pytest_archcheck.records import LayerCall, lineage
from pytest_archcheck.traces import Trace

LISTS = {"Sequential", "ModuleList", "ModuleDict"}
Marks: TypeAlias = "tuple[tuple[int, int], ...]"
"""Which copy of each folded cell a call lies in, as pairs of the cell's number and the copy's."""
Item: TypeAlias = "list[tuple[Unit, Marks]]"
"""A unit, and those at the same place in the other copies of what holds it."""


@dataclass(frozen=True, slots=True)
class Level:
    """How much a cut shows.

    ``blocks`` and ``modules``: whether blocks, and other modules with two weighted layers or more, are open;
    ``by_class``: whether neighbours of one class are one cell whatever their figures; ``nesting``: how many cells may
    be open inside each other; ``whole``: whether all that lies in one open cell is one cell.
    """

    blocks: bool = False
    modules: bool = False
    by_class: bool = False
    nesting: int = 99
    whole: bool = False


LEVELS = (
    Level(blocks=True, modules=True),
    Level(blocks=True),
    Level(modules=True),
    Level(),
    Level(modules=True, by_class=True),
    Level(by_class=True),
    Level(by_class=True, nesting=2),
    Level(by_class=True, nesting=1),
    Level(by_class=True, nesting=0),
    Level(by_class=True, nesting=0, whole=True),
)
"""From the most that is shown to the least."""


@dataclass(eq=False)
class Cell:
    """Units that are shown as one, ``times`` in sequence; ``copies`` are those of all copies of what holds it."""

    number: int
    copies: Item
    times: int
    is_block: bool
    is_mixed: bool = False
    """Whether it holds units of several kinds."""
    is_open: bool = False
    parts: list[Cell] = field(default_factory=list)

    @property
    def unit(self) -> Unit:
        """The first; the others are like it."""
        return self.copies[0][0]

    @property
    def name(self) -> str:
        """``layer1.{1-2}.conv1`` for several."""
        return span(unit.name for unit, _ in self.copies)

    def total(self, number: Callable[[Unit], int]) -> int:
        """The sum of a number over all units."""
        return sum(number(unit) for unit, _ in self.copies)


class Cut:
    """The cells of a trace at one level; ``told`` is what else has to be the same for units to be one cell."""

    def __init__(
        self, trace: Trace, units: Iterable[Unit], level: Level, told: Callable[[Unit], Hashable]
    ) -> None:
        self.graph = trace.graph
        self.level = level
        self.told = told
        self.blocks = {call.name for stage in trace.stage_calls for call in stage}
        self.holders = {name for block in self.blocks for name in lineage(block)[:-1]}
        self.weights = Weights(trace)
        self._number = 0
        self.cells = self._cells([[(unit, ())] for unit in units if self.weights.on_data(unit)], 0, False)

    def _cells(self, items: list[Item], nesting: int, in_block: bool) -> list[Cell]:
        return [self._cell(run, nesting, in_block) for run in self._runs(items)]

    def _runs(self, items: list[Item]) -> Iterator[list[Item]]:
        """Neighbours that are one cell."""
        if self.level.whole:
            if items:
                yield items
            return
        for _, alike in groupby(items, lambda item: self._key(item[0][0])):
            run: list[Item] = []
            for item in alike:
                if run and not self.level.by_class and not self._follows(run[-1][0][0], item[0][0]):
                    yield run
                    run = []
                run.append(item)
            yield run

    def _key(self, unit: Unit) -> Hashable:
        told = self.told(unit)
        if self.level.by_class:
            plain = not unit.parts and not self.weights.weighted(unit)
            return ("plain", told) if plain else (unit.kind, told)
        return (unit.form, told) if unit.parts else unit.name

    def _follows(self, first: Unit, second: Unit) -> bool:
        """Whether a unit takes what another made: those side by side are not drawn as one."""
        made = set(self.weights.inside(first))
        return any(
            source in made for index in self.weights.inside(second) for source in self.graph.sources(index)
        )

    def _cell(self, run: list[Item], nesting: int, in_block: bool) -> Cell:
        self._number += 1
        number, times = self._number, len(run)
        copies = [
            (unit, (*marks, (number, at)) if times > 1 else marks)
            for at, item in enumerate(run)
            for unit, marks in item
        ]
        unit = copies[0][0]
        is_block = isinstance(unit.call, LayerCall) and unit.call.name in self.blocks
        kinds = {other.kind for other, _ in copies}
        cell = Cell(number, copies, times, is_block, len(kinds) > 1)
        alike = len({other.form for other, _ in copies}) == 1
        if not in_block and alike and nesting < self.level.nesting and self._opens(unit, is_block):
            cell.is_open = True
            cell.parts = self._cells(self._parts(copies, is_block), nesting + 1, is_block)
        return cell

    def _opens(self, unit: Unit, is_block: bool) -> bool:
        if not unit.parts:
            return False
        if is_block:
            return self.level.blocks
        call = unit.call
        if isinstance(call, LayerCall) and (call.type in LISTS or call.name in self.holders):
            return True
        return self.level.modules and self.weights.weighted(unit) >= 2

    def _parts(self, copies: Item, is_block: bool) -> list[Item]:
        """What lies inside, place by place; lists with several weighted layers in a block are seen through."""
        places: list[Item] = []
        for position, part in enumerate(copies[0][0].parts):
            item = [(unit.parts[position], marks) for unit, marks in copies]
            if not any(self.weights.on_data(unit) for unit, _ in item):
                continue
            is_list = isinstance(part.call, LayerCall) and part.call.type in LISTS and part.parts
            if is_block and is_list and self.weights.weighted(part) >= 2:
                places += self._parts(item, is_block)
            else:
                places.append(item)
        return places


class Weights:
    """Which nodes of the data flow lie in a unit, and how many of them are weighted layers."""

    def __init__(self, trace: Trace) -> None:
        self.graph = trace.graph
        self._inside: dict[int, tuple[int, ...]] = {}
        self._kept: list[Unit] = []

    def inside(self, unit: Unit) -> tuple[int, ...]:
        """The nodes on data, in order of execution."""
        if id(unit) not in self._inside:
            found: list[int] = []
            stack = [unit]
            while stack:
                at = stack.pop()
                index = self.graph.index.get(at.name)
                if index is not None and self.graph.nodes[index].on_data:
                    found.append(index)
                stack += at.parts
            self._inside[id(unit)] = tuple(sorted(found))
            self._kept.append(unit)  # so that no other gets its id
        return self._inside[id(unit)]

    def on_data(self, unit: Unit) -> bool:
        """Whether anything inside depends on the model's inputs."""
        return bool(self.inside(unit))

    def weighted(self, unit: Unit) -> int:
        """How many weighted layers lie inside."""
        return sum(bool(self.graph.nodes[index].weight) for index in self.inside(unit))
