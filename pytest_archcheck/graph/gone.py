"""Calls that only the model before a drift had, as nodes of their own between what they took and what took them."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

from pytest_archcheck.drift.severity import Change
from pytest_archcheck.graph.boxes import Box, Boxes
from pytest_archcheck.graph.labels import describe, made_text
from pytest_archcheck.graph.picture import Edge, Node
from pytest_archcheck.records import Call, LayerCall, input_refs
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from pytest_archcheck.drift.compare import Drift

_SHOWN = 6


class Gone:
    """The nodes and edges for what is gone; ``untold`` are the changes that have no node."""

    def __init__(self, boxes: Boxes, drift: Drift | None, changes: list[Change]) -> None:
        self.edges: list[Edge] = []
        self.untold: list[Change] = []
        self._after: dict[Box, list[Node]] = defaultdict(list)
        self._boxes = boxes
        for number, change in enumerate(changes):
            if drift is None or number >= _SHOWN or not self._add(drift.before, change, f"g{number}"):
                self.untold.append(change)

    def after(self, box: Box) -> list[Node]:
        """What stood behind a node."""
        return self._after[box]

    def _add(self, before: Trace, change: Change, name: str) -> bool:
        """Whether what the call took is still there to be drawn from."""
        call = before.by_id[change.layer]
        sources = [box for ref in input_refs(call) if (box := self._box(ref.name)) is not None and box.cells]
        if not sources:
            return False
        kind = (call.type if isinstance(call, LayerCall) else call.function).rpartition(".")[2]
        node = Node(
            name,
            call.id,
            call.id if isinstance(call, LayerCall) else "",
            describe(call, kind),
            output=made_text(call),
            kind="gone",
            severity=change.severity,
            changes=("gone",),
        )
        self._after[sources[-1]].append(node)
        self.edges += [Edge(box.id, name) for box in dict.fromkeys(sources)]
        self.edges += [Edge(name, box.id) for box in self._users(before, call) if box not in sources]
        return True

    def _users(self, before: Trace, call: Call) -> dict[Box, None]:
        made = {call.id}
        if isinstance(call, LayerCall) and call.sources:
            made |= {ref.name for ref in call.sources}
        found = (self._box(user.id) for user in before if any(ref.name in made for ref in input_refs(user)))
        return dict.fromkeys(box for box in found if box is not None)

    def _box(self, name: str) -> Box | None:
        home = self._boxes.home(self._boxes.graph.index.get(name, -1))
        return home[0] if home else None
