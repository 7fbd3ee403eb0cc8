"""From the boxes of a cut to a picture: what each says, which edges are shortcuts, what lies on the longest path."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

from pytest_archcheck.drift.severity import Change, Severity
from pytest_archcheck.graph.boxes import Box, Boxes
from pytest_archcheck.graph.cells import Cell, Cut, Level
from pytest_archcheck.graph.depth import NO_EDGES, whole_path
from pytest_archcheck.graph.gone import Gone
from pytest_archcheck.graph.outline import Outline, Unit
from pytest_archcheck.graph.picture import Cluster, Edge, Member, Node, Picture
from pytest_archcheck.graph.told import Told, texts
from pytest_archcheck.graph.words import box_words, cluster_words, title_of
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from pytest_archcheck.drift.compare import Drift


class Subject:
    """A trace with what pictures of it at all levels have in common."""

    def __init__(self, trace: Trace, found: Outline, drift: Drift | None, convention: str) -> None:
        self.trace = trace
        self.graph = trace.graph
        self.outline = found
        self.drift = drift
        self.told = Told(trace, drift)
        self.explanation = trace.explain_depth(convention)
        self.counted = {layer.name for layer in self.explanation.counted}
        self.path = self._path()

    def _path(self) -> list[int]:
        """The path through all that is counted; empty where no path leads through all of it."""
        weights: dict[str, int] = defaultdict(int)
        for layer in self.explanation.counted:
            weights[layer.name] += layer.weight
        for without in (self.graph.gates, NO_EDGES):
            path = whole_path(self.graph, lambda node: weights.get(node.id, 0), without)
            if sum(weights.get(self.graph.nodes[index].id, 0) for index in path) == self.explanation.depth:
                return path
        return []

    def picture(self, level: Level) -> Picture:
        """The picture at one level of detail."""
        sketch = Sketch(self, level)
        members, edges = sketch.members(), sketch.edges()
        notes = texts(sketch.untold())
        if self.outline.unused:
            names = [f"{each.name} ({each.kind})" for each in self.outline.unused]
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""
            notes.append(f"not used: {', '.join(names[:3])}{more}")
        return Picture(
            self.trace.model.type.rpartition(".")[2],
            self.explanation.convention,
            self.explanation.depth,
            self.trace.params.total,
            self.trace.macs,
            self.trace.status,
            members,
            edges,
            self.drift.verdict if self.drift is not None else "",
            tuple(notes),
        )


class Sketch:
    """One picture in the making."""

    def __init__(self, subject: Subject, level: Level) -> None:
        self.subject = subject
        self.told = subject.told
        self.graph = subject.graph
        self.cut = Cut(subject.trace, subject.outline.units, level, subject.told.key)
        self.boxes = Boxes(subject.trace, self.cut)
        self.gone = Gone(self.boxes, subject.drift, subject.told.gone)
        self.path = set(subject.path)
        self.shown: set[str] = set()
        self.shortcuts, self.hidden = self._shortcuts()

    # -- nodes and clusters ------------------------------------------------------------------------------

    def members(self) -> tuple[Member, ...]:
        """All nodes and clusters: the inputs, what the model calls, the outputs."""
        held: dict[Cell | None, list[Box]] = defaultdict(list)
        for box in self.boxes.boxes:
            if box.cells:
                held[box.place].append(box)
        inputs = [self._leaf(box, "input") for box in self.boxes.inputs]
        outputs = [self._leaf(box, "output") for box in self.boxes.outputs]
        return (*inputs, *self._members(self.cut.cells, None, held), *outputs)

    def _members(
        self, cells: Iterable[Cell], place: Cell | None, held: dict[Cell | None, list[Box]]
    ) -> list[Member]:
        heads = {box.cells[0]: box for box in held[place]}
        found: list[Member] = []
        for cell in cells:
            if cell.is_open:
                found += self._cluster(cell, place, held)
            elif cell in heads:
                found.append(self._node(heads[cell]))
                found += self.gone.after(heads[cell])
        return found

    def _cluster(
        self, cell: Cell, place: Cell | None, held: dict[Cell | None, list[Box]]
    ) -> Iterator[Member]:
        members = self._members(cell.parts, cell, held)
        changes = self._changes(unit.name for unit, _ in cell.copies)
        title = title_of(cell, place)
        if len(members) == 1 and not (cell.is_block or cell.times > 1 or changes):
            only = members[0]
            yield replace(only, title=f"{title}.{only.title}" if only.title else "")
        elif members:
            what, output = cluster_words(cell)
            depth = cell.total(lambda unit: unit.depth)
            yield Cluster(
                f"c{cell.number}",
                cell.name,
                title,
                what,
                output,
                cell.times,
                len(cell.copies),
                depth,
                tuple(members),
                cell.is_block,
                severity_of(changes),
                tuple(texts(changes)),
            )

    def _leaf(self, box: Box, kind: str) -> Node:
        prefix = "in" if kind == "input" else "out"
        changes = self._changes(f"{prefix}:{spec.path}" for spec in box.leaves)
        spec = box.leaves[0]
        more = len(box.leaves) - 1
        return Node(
            box.id,
            f"{prefix}:{spec.path}",
            spec.path,
            kind,
            (f"and {more} more",) if more else (),
            "×".join(map(str, spec.shape)) + ("" if spec.dtype == "float32" else f" {spec.dtype}"),
            kind,
            on_path=bool(self.path) and self._is_end(box),
            severity=severity_of(changes),
            changes=tuple(texts(changes)),
        )

    def _is_end(self, box: Box) -> bool:
        """Whether the path begins or ends here."""
        first = self.boxes.home(self.subject.path[0])
        return (first is not None and first[0] is box) or box is self.boxes.outputs[0]

    def _node(self, box: Box) -> Node:
        head = box.cells[0]
        units = [unit for cell in box.all_cells for unit, _ in cell.copies]
        everything = [inner for unit in units for inner in _walk(unit)]
        changes = self._changes(unit.name for unit in everything)
        title, what, then, output, kind = box_words(box, self.boxes)
        return Node(
            box.id,
            head.name,
            title,
            what,
            then,
            output,
            kind,
            1 if head.is_mixed else head.times,
            len(head.copies),
            sum(unit.depth for unit in units),
            sum(unit.params for unit in units),
            sum(unit.macs for unit in units),
            tuple(unit.name for unit in everything if unit.name in self.subject.counted),
            tuple(self.hidden.get(box, ())),
            any(index in self.path for unit in units for index in self.cut.weights.inside(unit))
            or any(unit.depth for unit in units),
            severity_of(changes),
            tuple(texts(changes, {head.unit.name} if len(head.copies) == 1 else set())),
        )

    def _changes(self, names: Iterable[str]) -> list[Change]:
        found: list[Change] = []
        for name in names:
            found += self.told.at.get(name, ())
            self.shown.add(name)
        return found

    def untold(self) -> list[Change]:
        """The changes that no node, cluster or gone node tells; to be asked after ``members``."""
        missing = [change for name in self.told.at if name not in self.shown for change in self.told.at[name]]
        return [*self.told.beside, *missing, *self.gone.untold]

    # -- edges -------------------------------------------------------------------------------------------

    def edges(self) -> tuple[Edge, ...]:
        """What flows between the nodes, in order."""
        on_path = {self.boxes.between(first, second) for first, second in pairwise(self.subject.path)}
        last = self.boxes.home(self.subject.path[-1]) if self.subject.path else None
        if last is not None:
            on_path.add((last[0], self.boxes.outputs[0]))
        found = [
            Edge(box.id, user.id, self.shortcuts.get((box, user), ""), (box, user) in on_path)
            for box in self.boxes.boxes
            for user in box.users
        ]
        return (*found, *self.gone.edges)

    def _shortcuts(self) -> tuple[dict[tuple[Box, Box], str], dict[Box, list[str]]]:
        """The kind of each edge that belongs to a shortcut, and the kinds of those inside of a box."""
        edges: dict[tuple[Box, Box], str] = {}
        hidden: dict[Box, list[str]] = defaultdict(list)
        for shortcut in self.subject.trace.shortcuts:
            names = (shortcut.start, *shortcut.layers, shortcut.sum)
            way = [self.graph.index[name] for name in names]
            home = self.boxes.home(way[-1])
            if home is None:
                continue
            box, marks = home
            if box.cells and box.cells[0].unit.name != shortcut.sum and not _holds(box, shortcut.sum):
                if not any(at for _, at in marks):
                    hidden[box].append(shortcut.kind)
                continue
            for first, second in pairwise(way):
                ends = self.boxes.between(first, second)
                if ends is not None:
                    edges[ends] = shortcut.kind
        return edges, hidden


def _holds(box: Box, name: str) -> bool:
    """Whether a call heads a box, in any of its copies, and is all of that cell."""
    return any(unit.name == name for unit, _ in box.cells[0].copies)


def _walk(unit: Unit) -> Iterator[Unit]:
    stack = [unit]
    while stack:
        at = stack.pop()
        yield at
        stack += at.parts[::-1]


def severity_of(changes: Iterable[Change]) -> Severity | None:
    """The gravest; ``None`` where nothing changed."""
    return max((change.severity for change in changes), default=None)
