"""The boxes of a picture: which cells are one node, and what flows between them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pytest_archcheck.graph.cells import Cell, Cut, Marks
from pytest_archcheck.graph.weights import mixes
from pytest_archcheck.records import Output, TensorSpec
from pytest_archcheck.traces import Trace

_LEAVES_SHOWN = 6
_RESHAPING = set(
    "view reshape permute transpose flatten unflatten getitem squeeze unsqueeze expand contiguous chunk split unbind "
    "select narrow swapaxes movedim t to type_as float clone detach view_as expand_as tensor_split Identity".split()
)


@dataclass(eq=False)
class Box:
    """A node in the making: a closed cell and those that follow it in the same node, or inputs, or outputs."""

    id: str
    place: Cell | None = None
    """The open cell around it."""
    cells: list[Cell] = field(default_factory=list)
    hidden: list[Cell] = field(default_factory=list)
    """What only reshapes one of several uses: in the node's figures and not in its words."""
    leaves: list[TensorSpec] = field(default_factory=list)
    sources: dict[Box, None] = field(default_factory=dict)
    users: dict[Box, None] = field(default_factory=dict)

    @property
    def all_cells(self) -> list[Cell]:
        """What its figures are of."""
        return [*self.cells, *self.hidden]

    @property
    def is_folded(self) -> bool:
        """Whether it stands for several units that follow each other, or for a block."""
        return any(cell.times > 1 or cell.is_block for cell in self.cells)


class Boxes:
    """All boxes of one cut, in order of execution, and the box of every node of the data flow."""

    def __init__(self, trace: Trace, cut: Cut) -> None:
        self.trace = trace
        self.graph = trace.graph
        self.inside = cut.weights.inside
        self.weighted = cut.weights.weighted
        self._all: list[Box] = []
        self._into: dict[Box, Box] = {}
        self._home: dict[int, tuple[Box, Marks]] = {}
        for number, spec in enumerate(trace.inputs):
            box = self._all[-1] if number >= _LEAVES_SHOWN else self._box(None)
            box.leaves.append(spec)
            self._home[number] = box, ()
        self.inputs = list(self._all)
        self._add(cut.cells, None)
        for index in self._home:
            for source in self.graph.sources(index):
                self._connect(self.between(source, index))
        for box in self._all:
            self._merge(box)
        self.outputs = self._outputs()
        self.boxes = [box for box in self._all if box not in self._into]

    def _box(self, place: Cell | None) -> Box:
        box = Box(f"n{len(self._all)}", place)
        self._all.append(box)
        return box

    def _add(self, cells: Iterable[Cell], place: Cell | None) -> None:
        for cell in cells:
            if cell.is_open:
                self._add(cell.parts, cell)
            else:
                box = self._box(place)
                box.cells.append(cell)
            for unit, marks in cell.copies:
                for index in self.inside(unit):  # in an open cell what is on data in its later copies alone
                    self._home.setdefault(index, (self._all[-1], marks))

    def home(self, index: int) -> tuple[Box, Marks] | None:
        """The box of a node, and which copy of what is folded there."""
        found = self._home.get(index)
        if found is None:
            return None
        box = found[0]
        while box in self._into:
            box = self._into[box]
        return box, found[1]

    def between(self, source: int, target: int) -> tuple[Box, Box] | None:
        """The boxes that data flows between; none within one, and from one copy of a folded cell to another."""
        ends = self.home(source), self.home(target)
        if ends[0] is None or ends[1] is None or ends[0][0] is ends[1][0]:
            return None
        copies = dict(ends[0][1])
        if any(copies.get(cell, at) != at for cell, at in ends[1][1]):
            return None
        return ends[0][0], ends[1][0]

    @staticmethod
    def _connect(ends: tuple[Box, Box] | None) -> None:
        if ends is not None:
            ends[0].users[ends[1]] = ends[1].sources[ends[0]] = None

    def _merge(self, box: Box) -> None:
        """Put what merely follows another into its node, and hide what only reshapes one of several uses."""
        if not (len(box.sources) == 1 and box.cells and not box.is_folded and self._is_quiet(box.cells[0])):
            return
        before = next(iter(box.sources))
        if before.cells and before.place is box.place and len(before.users) == 1 and not before.is_folded:
            before.cells += box.cells
        elif box.cells[0].unit.kind in _RESHAPING and (before.is_folded or len(before.users) > 1):
            before.hidden += box.cells
        else:
            return
        self._into[box] = before
        del before.users[box]
        for user in box.users:
            del user.sources[box]
            self._connect((before, user))

    def _is_quiet(self, cell: Cell) -> bool:
        """Whether a cell is no layer of its own: a norm, an activation, a dropout, another view of a tensor."""
        unit = cell.unit
        if unit.kind in _RESHAPING:
            return True
        calls = [self.graph.nodes[index].call for index in self.inside(unit)]
        if self.weighted(unit) or any(call is not None and mixes(call) for call in calls):
            return False
        taken, made = unit.call.inputs, unit.call.outputs
        return bool(taken) and len(made) == 1 and made[0].numel == taken[0].numel

    def _outputs(self) -> list[Box]:
        """A box for the outputs that one box makes; those of unknown origin stand alone."""
        found: dict[Box | None, Box] = {}
        for leaf in self.trace.outputs:
            maker = self._maker(leaf)
            if maker not in found:
                if len(found) < _LEAVES_SHOWN:
                    found[maker] = self._box(None)
                else:
                    found[maker] = list(found.values())[-1]
            found[maker].leaves.append(leaf)
            if maker is not None:
                self._connect((maker, found[maker]))
        return list(dict.fromkeys(found.values()))

    def _maker(self, leaf: Output) -> Box | None:
        home = self.home(self.graph.index.get(leaf.source.name, -1))
        return home[0] if home else None
