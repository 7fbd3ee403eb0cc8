"""Find every difference between two traces, and tell causes from what follows from them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import zip_longest

from pytest_archcheck.drift.calls import Calls
from pytest_archcheck.drift.causes import summarised
from pytest_archcheck.drift.pairs import Pairs
from pytest_archcheck.drift.proof import without_the_same_computation
from pytest_archcheck.drift.severity import ABSENT, Change, Severity, shapes_state
from pytest_archcheck.drift.state import State
from pytest_archcheck.drift.structure import MODEL, Structure
from pytest_archcheck.drift.writer import spec_text, value_text
from pytest_archcheck.records import TensorSpec, lineage


def find_changes(pairs: Pairs) -> list[Change]:
    """The changes between two traces, causes first, each group in order of execution."""
    found = _Comparison(pairs).changes()
    found = summarised(pairs, without_the_same_computation(pairs, found))
    return [change for change in found if change.cause] + [change for change in found if not change.cause]


class _Comparison:
    def __init__(self, pairs: Pairs) -> None:
        self.pairs = pairs
        self.before, self.after = pairs.before, pairs.after
        self.structure = Structure(pairs)

    def changes(self) -> list[Change]:
        inputs = [*self._mode(), *self._leaves(0)]
        tree = list(self.structure.changes())
        touched = {c.layer for c in tree if c.cause and c.severity > Severity.COSMETIC}
        calls = Calls(self.pairs, self.structure)
        found = [*inputs, *tree, *calls.changes(touched)]
        found += self._state(found)
        outputs = [*self._leaves(1, found), *self._sources(calls)]
        causes = [at for at, change in enumerate(found) if change.cause]
        breaks = any(change.severity == Severity.BREAKING and not change.cause for change in outputs)
        if breaks and all(found[at].severity < Severity.BREAKING for at in causes):
            at = max(causes, key=lambda at: (found[at].layer.startswith("in:"), found[at].severity))
            found[at] = found[at].rated(Severity.BREAKING)
        return found + outputs

    def _mode(self) -> Iterator[Change]:
        if self.before.training != self.after.training:
            modes = ["train" if trace.training else "eval" for trace in (self.before, self.after)]
            yield Change(MODEL, "mode", modes[0], modes[1], Severity.BEHAVIOUR)

    # -- what goes in and what comes out ---------------------------------------------------------------

    def _leaves(self, side: int, known: Sequence[Change] = ()) -> Iterator[Change]:
        """Inputs (0) or outputs (1): in order, whatever they are called."""
        sides: tuple[tuple[TensorSpec, ...], ...] = (
            (self.before.inputs, self.after.inputs)
            if side == 0
            else (self.before.outputs, self.after.outputs)
        )
        label, severity = ("in:", Severity.BEHAVIOUR) if side == 0 else ("output ", Severity.BREAKING)
        follows = any(change.cause and change.severity > Severity.COSMETIC for change in known)
        for old, new in zip_longest(*sides):
            leaf = new or old
            states = [spec_text(spec) if spec else ABSENT for spec in (old, new)]
            name = f"{label}{leaf.path}".strip()
            if states[0] != states[1]:
                is_gone = old is None or new is None
                yield Change(
                    name,
                    "tensor",
                    states[0],
                    states[1],
                    Severity.BREAKING if is_gone else severity,
                    not follows,
                )
            elif old.path != new.path:
                # a forward that takes anything takes it under the old name too
                takes_any = side == 0 and "[" in new.path and "[" not in old.path
                rated = Severity.COSMETIC if takes_any else Severity.BREAKING
                yield Change(name, "name", old.path, new.path, rated)

    def _sources(self, calls: Calls) -> Iterator[Change]:
        """Outputs that another call makes; callers break where the model returns the same in another order."""
        made = [
            {(out.source.name, out.source.index) for out in trace.outputs}
            for trace in (self.before, self.after)
        ]
        translated = {(self.pairs.refs.get(name, name), index) for name, index in made[0]}
        for old, new in zip(self.before.outputs, self.after.outputs, strict=False):
            if self.pairs.same(old.source, new.source):
                continue
            through = self.pairs.between(old.source, new.source)
            severity = Severity.BREAKING if translated == made[1] else Severity.BEHAVIOUR
            if through:
                severity = calls.weight_of(through)
            states = [value_text(source).replace("%", "") for source in (old.source, new.source)]
            yield Change(f"output {new.path}".strip(), "source", states[0], states[1], severity, not through)

    # -- state -----------------------------------------------------------------------------------------

    def _state(self, found: list[Change]) -> list[Change]:
        """Changes of tensors; what explains one matters as much as it does."""
        reasons: dict[str, list[int]] = defaultdict(list)
        for at, change in enumerate(found):
            if change.cause and change.attribute not in _NO_REASON:
                reasons[change.layer.partition("#")[0]].append(at)
        own = []
        for owner, change in State(self.pairs, self.structure).changes():
            side = 0 if change.after == ABSENT and change.attribute == change.kind else 1
            explained = change.attribute in ("shape", "dtype", change.kind)
            reason = self._reason(found, reasons, owner, side) if explained else []
            for at in reason:
                found[at] = found[at].rated(max(found[at].severity, change.severity))
            if not (reason and self.structure.is_lone(side, owner)):
                own.append(replace(change, cause=not reason))
        return own

    def _reason(self, found: list[Change], reasons: dict[str, list[int]], owner: str, side: int) -> list[int]:
        """Which changes of a module, or of one above it that came or went, explain one of its tensors."""
        for name in reversed(lineage(owner)):
            causes = reasons.get((self.pairs.modules.new.get(name, name) if side == 0 else name) or MODEL, [])
            if name != owner:
                causes = [at for at in causes if _explains_all_inside(found[at])]
            if causes:
                return [at for at in causes if shapes_state(found[at].attribute)] or causes
        return []


def _explains_all_inside(change: Change) -> bool:
    """Whether a change of a module explains every tensor in it."""
    is_other = change.attribute == "class" and change.severity >= Severity.BEHAVIOUR
    return is_other or change.attribute in ("blocks", "call", "uncalled module")


_NO_REASON = ("name", "wrapper", "inplace", "prefix of all names", "same module as", "tensor", "mode")
