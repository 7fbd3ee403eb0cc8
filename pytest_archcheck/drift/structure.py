"""Changes of the module tree: what came, went, was renamed, wrapped, or is repeated another number of times."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from pytest_archcheck.drift.pairs import Pairs
from pytest_archcheck.drift.severity import ABSENT, Change, Severity, config_severity, presence_severity
from pytest_archcheck.drift.trees import Node
from pytest_archcheck.drift.writer import value_text
from pytest_archcheck.matching.spellings import spelled
from pytest_archcheck.records import LayerCall, Op, lineage
from pytest_archcheck.traces import Trace

MODEL = "the model"


class Structure:
    """The modules of two traces side by side."""

    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.names = pairs.modules
        self.lone = [
            {name for name in tree if name not in paired}
            for tree, paired in ((self.names.before, self.names.new), (self.names.after, self.names.old))
        ]
        """Modules that only one side has."""
        self.told: set[str] = set()
        """Calls that came or went with their module."""
        self.replaced = {new for old, new in self.names.new.items() if self._is_replaced(old, new)}
        """Modules, by their name after, that only one of the traces looks into."""
        self.uneven: dict[str, bool] = {}
        """Whether something came or went in a container."""
        self.shifts: dict[str, Severity] = {}
        """Containers in which something came or went, with what it matters that the others have new numbers."""

    @cached_property
    def calls(self) -> tuple[Mapping[str, list[str]], ...]:
        """The calls of each module, of both traces."""
        return tuple(_calls_of(trace) for trace in (self.pairs.before, self.pairs.after))

    def changes(self) -> Iterator[Change]:
        """Every change of the tree, in the order of the trace after."""
        yield from self._renamed()
        yield from self._came_or_went(0)
        yield from self._came_or_went(1)
        for old, new in self.names.new.items():
            yield from self._itself(old, new)
        yield from self._aliases()

    def is_lone(self, side: int, module: str) -> bool:
        """Whether a module, or one that holds it, is in one trace only."""
        return any(name in self.lone[side] for name in lineage(module))

    def parent(self, side: int, name: str) -> str:
        """The nearest module above one."""
        tree = self.names.before if side == 0 else self.names.after
        return next(above for above in reversed(lineage(name)[:-1]) if above in tree)

    def _is_replaced(self, old: str, new: str) -> bool:
        if self.names.before[old].type == self.names.after[new].type:
            return False
        calls = [self._first_call(0, old), self._first_call(1, new)]
        known = [call.atomic for call in calls if call is not None]
        return len(known) == 2 and known[0] != known[1]

    # -- names -------------------------------------------------------------------------------------

    def _renamed(self) -> Iterator[Change]:
        for old, new in self.names.new.items():
            if old == new or self._follows(old, new):
                continue
            severity = Severity.BREAKING if self._moves_keys(old) else Severity.COSMETIC
            kind = self.names.after[new].type
            if not (old and new):
                prefixes = [f"{name}." if name else "none" for name in (old, new)]
                yield Change(MODEL, "prefix of all names", prefixes[0], prefixes[1], severity, kind=kind)
                continue
            above = self._shifted(old, new)
            if above is not None:
                self.shifts[above] = max(severity, self.shifts.get(above, severity))
            yield Change(new, "name", old, new, severity, above is None, kind)

    def _shifted(self, old: str, new: str) -> str | None:
        """The container whose numbers shifted because of what came or went in it."""
        first, second = self.names.before[old], self.names.after[new]
        above = self.parent(0, old), self.parent(1, new)
        numbered = first.key.isdecimal() and second.key.isdecimal()
        if not numbered or self.names.new.get(above[0]) != above[1]:
            return None
        if above[1] not in self.uneven:
            beside = [(0, self.names.before[above[0]]), (1, self.names.after[above[1]])]
            self.uneven[above[1]] = any(
                child.name in self.lone[side] for side, node in beside for child in node.children.values()
            )
        return above[1] if self.uneven[above[1]] else None

    def _follows(self, old: str, new: str) -> bool:
        """Whether the module above was renamed, and this one only with it."""
        if not (old and new):
            return False
        above = self.parent(0, old), self.parent(1, new)
        return self.names.new.get(above[0]) == above[1] and old.removeprefix(above[0]).lstrip(
            "."
        ) == new.removeprefix(above[1]).lstrip(".")

    def _moves_keys(self, old: str) -> bool:
        tensors = (tensor for node in self.names.before[old].inside() for tensor in node.state)
        return any(t.saved and self.pairs.state.new.get(t.name, t.name) != t.name for t in tensors)

    # -- presence ----------------------------------------------------------------------------------

    def _came_or_went(self, side: int) -> Iterator[Change]:
        """The outermost of the modules that only one side has; what lies in them goes without saying."""
        tree = self.names.before if side == 0 else self.names.after
        paired = self.names.new if side == 0 else self.names.old
        blocks: dict[tuple[str, str], list[str]] = defaultdict(list)
        for name in tree:
            if name not in self.lone[side] or self.names.is_shared(side, name):
                continue
            node = tree[name]
            above = self.parent(side, name) if name else ""
            holds_paired = any(inner.name in paired for inner in node.inside())
            if not holds_paired:
                self.told |= {
                    call for inner in node.inside() for call in self.calls[side].get(inner.name, ())
                }
            if name and above in self.lone[side] and not self._wraps(side, above):
                continue
            if holds_paired:
                yield self._change(side, name or MODEL, "wrapper", node.type, Severity.COSMETIC, node.type)
            elif node.children and self._siblings(side, above, node):
                blocks[above, node.type].append(name)
            else:
                change = self._presence(side, node)
                there = self.names.new.get(above, above) if side == 0 else above
                shifted = max(change.severity, self.shifts.get(there, change.severity))
                yield replace(change, severity=shifted, cause=there not in self.replaced)
        for (above, cls), names in blocks.items():
            yield from self._blocks(side, above, cls, names)

    def _wraps(self, side: int, name: str) -> bool:
        tree, paired = (
            (self.names.before, self.names.new) if side == 0 else (self.names.after, self.names.old)
        )
        return any(inner.name in paired for inner in tree[name].inside())

    def _presence(self, side: int, node: Node) -> Change:
        trace = (self.pairs.before, self.pairs.after)[side]
        ids = [call for inner in node.inside() for call in self.calls[side].get(inner.name, ())]
        if not ids:
            return self._change(side, node.name, "uncalled module", node.type, Severity.COSMETIC, node.type)
        inside = [trace.by_id[call] for call in ids]
        lone = (self.pairs.gone, self.pairs.came)[side]
        computing = [c for c in inside if c.id in lone and (isinstance(c, Op) or c.atomic)]
        weights = (presence_severity(call, trace.training) for call in computing)
        severity = max(weights, default=Severity.COSMETIC)
        return self._change(side, node.name, "call", node.type, severity, node.type)

    @staticmethod
    def _change(side: int, name: str, attribute: str, what: str, severity: Severity, kind: str) -> Change:
        states = (what, ABSENT) if side == 0 else (ABSENT, what)
        return Change(name, attribute, states[0], states[1], severity, kind=kind)

    def _siblings(self, side: int, above: str, node: Node) -> list[str]:
        """The modules beside one that are of its class and that both sides have."""
        tree, paired = (
            (self.names.before, self.names.new) if side == 0 else (self.names.after, self.names.old)
        )
        return [
            child.name
            for child in tree[above].children.values()
            if child.type == node.type and child.name in paired
        ]

    def _blocks(self, side: int, above: str, cls: str, names: list[str]) -> Iterator[Change]:
        """A block that is repeated more or less often: one change, and the blocks follow from it."""
        here = Counter(
            child.type for child in (self.names.before, self.names.after)[side][above].children.values()
        )
        there = here[cls] - len(names)
        numbers = (here[cls], there) if side == 0 else (there, here[cls])
        label = (self.names.new.get(above, above) if side == 0 else above) or MODEL
        yield Change(label, "blocks", str(numbers[0]), str(numbers[1]), Severity.BEHAVIOUR, kind=cls)
        for name in names:
            yield replace(self._change(side, name, "call", cls, Severity.BEHAVIOUR, cls), cause=False)

    # -- a module that both sides have -------------------------------------------------------------

    def _itself(self, old: str, new: str) -> Iterator[Change]:
        first, second = self.names.before[old], self.names.after[new]
        calls = [self._first_call(0, old), self._first_call(1, new)]
        atomic = any(isinstance(call, LayerCall) and call.atomic for call in calls)
        label = new or MODEL
        kind = second.type
        if first.type != second.type:
            same = atomic and all(calls) and _same_spelling(*calls)  # type: ignore[arg-type]
            severity = Severity.BEHAVIOUR if atomic and not same else Severity.COSMETIC
            yield Change(label, "class", first.type, second.type, severity, kind=kind)
            if atomic:
                return
        if first.config == second.config and first.type == second.type:
            return
        for key in dict.fromkeys((*first.module.config, *second.module.config)):
            states = [
                value_text(node.module.config[key]) if key in node.module.config else ABSENT
                for node in (first, second)
            ]
            if states[0] != states[1]:
                has_children, training = bool(second.children) or not new, self.pairs.after.training
                severity = config_severity(second.module, key, has_children, atomic, training)
                yield Change(label, key, states[0], states[1], severity, kind=kind)

    def _first_call(self, side: int, name: str) -> LayerCall | None:
        trace = (self.pairs.before, self.pairs.after)[side]
        call = trace.by_id.get(name or ".")
        return call if isinstance(call, LayerCall) else None

    def _aliases(self) -> Iterator[Change]:
        """Modules that are another one under a second name."""
        sides = self.names.second
        for name in dict.fromkeys((*sides[0], *sides[1])):
            first, second = sides[0].get(name), sides[1].get(name)
            above = lineage(name)[:-1]
            if any(other in side for other in above for side in sides):
                continue
            if first is None or second is None or self.names.new.get(first, first) != second:
                states = ["none" if other is None else other or MODEL for other in (first, second)]
                known = name in self.names.before or name in self.names.after
                severity = Severity.TRAINING if known else Severity.COSMETIC
                yield Change(name, "same module as", states[0], states[1], severity)


def _calls_of(trace: Trace) -> Mapping[str, list[str]]:
    """The calls of each module and of each function in its forward, by the module's name."""
    found: dict[str, list[str]] = defaultdict(list)
    for call in trace.calls:
        found[call.scope if isinstance(call, Op) else call.module.name].append(call.id)
    return found


def _same_spelling(old: LayerCall, new: LayerCall) -> bool:
    """Whether two classes do the same with the same settings."""
    first, second = spelled(old), spelled(new)
    return (first.function, first.settings) == (second.function, second.settings)
