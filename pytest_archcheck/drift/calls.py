"""Changes of calls: what came, went, takes something else, or gives something else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from functools import cached_property

from pytest_archcheck.drift.pairs import COMMUTATIVE, Pairs
from pytest_archcheck.drift.severity import (
    ABSENT,
    Change,
    Severity,
    argument_severity,
    drops,
    is_random,
    kind_of,
    presence_severity,
)
from pytest_archcheck.drift.structure import MODEL, Structure
from pytest_archcheck.drift.writer import spec_text, value_text
from pytest_archcheck.matching.spellings import Spelled, default_of, spelled
from pytest_archcheck.records import (
    Call,
    LayerCall,
    Op,
    Ref,
    TensorSpec,
    Value,
    input_refs,
    lineage,
    refs_in,
)


class Calls:
    """The calls of two traces side by side."""

    def __init__(self, pairs: Pairs, structure: Structure) -> None:
        self.pairs, self.structure = pairs, structure

    @cached_property
    def dead_ends(self) -> tuple[frozenset[str], frozenset[str]]:
        """Calls of either trace from which no output is computed."""
        return frozenset(self.pairs.before.dead_ends), frozenset(self.pairs.after.dead_ends)

    def changes(self, touched: set[str]) -> Iterator[Change]:
        """Every change of a call, in the order of the trace after; what is gone comes where it was.

        ``touched`` names the layers that are known to have changed, and grows.
        """
        old_ids = {new: old for old, new in self.pairs.calls.items()}
        for change in self._in_order(old_ids, touched):
            if change.cause and change.severity > Severity.COSMETIC:
                touched.add(change.layer.partition("#")[0])
            yield replace(change, layer=MODEL) if change.layer == "." else change

    def _in_order(self, old_ids: Mapping[str, str], touched: set[str]) -> Iterator[Change]:
        before, after = self.pairs.before, self.pairs.after
        gone = _gone_after(before.calls, self.pairs.calls)
        yield from self._presences(gone.get("", ()), 0)
        for new in after.calls:
            if new.id not in old_ids:
                yield from self._presences((new,), 1)
                continue
            old = before.by_id[old_ids[new.id]]
            yield from self._call(old, new, touched)
            yield from self._presences(gone.get(old.id, ()), 0)

    def _presences(self, calls: tuple[Call, ...] | list[Call], side: int) -> Iterator[Change]:
        for call in calls:
            if call.id in self.structure.told or (isinstance(call, LayerCall) and not call.atomic):
                continue
            severity = self._weight(call, side)
            kind = kind_of(call)
            cause = not self._follows(call, side)
            if side == 1:
                yield Change(call.id, "call", ABSENT, kind, severity, cause, kind)
            else:
                name = call.module.name if isinstance(call, LayerCall) else None
                there = None if name is None else self.pairs.modules.new.get(name)
                uncalled = there is not None and there not in self.pairs.after
                there_is = "declared, not called" if uncalled else ABSENT
                yield Change(call.id, "call", kind, there_is, severity, cause, kind)

    def _follows(self, call: Call, side: int) -> bool:
        """Whether a call came or went with a module: with one that was told, or one that is another class now."""
        scope = (
            call.scope if isinstance(call, Op) else lineage(call.module.name)[-2] if call.module.name else ""
        )
        name = self.structure.names.new.get(scope) if side == 0 else scope
        if name in self.structure.replaced:
            return True
        refs = [ref for ref in input_refs(call) if not ref.name.startswith(("param:", "buffer:"))]
        return bool(refs) and all(ref.name in self.structure.told for ref in refs)

    def _weight(self, call: Call, side: int) -> Severity:
        """What a call that only one side has matters; one that nothing is computed from costs only."""
        training = (self.pairs.before, self.pairs.after)[side].training
        severity = presence_severity(call, training)
        if severity != Severity.BEHAVIOUR or call.id not in self.dead_ends[side]:
            return severity
        if any(ref.name.startswith(("buffer:", "const:", "opaque:")) for ref in input_refs(call)):
            return Severity.BEHAVIOUR  # it may write to what it takes
        if not training:
            return Severity.COST
        writes = isinstance(call, LayerCall) and any(tensor.kind == "buffer" for tensor in call.state)
        return Severity.BEHAVIOUR if writes else Severity.TRAINING  # a loss that the model keeps

    # -- a call that both sides have -------------------------------------------------------------------

    def _call(self, old: Call, new: Call, touched: set[str]) -> Iterator[Change]:
        renamed = self.pairs.refs
        if old is new and not (renamed and any(ref.name in renamed for ref in input_refs(old))):
            return  # a line that both texts have, and that means the same tensors
        if isinstance(old, LayerCall) and isinstance(new, LayerCall) and not (old.atomic or new.atomic):
            return  # told by what it calls
        compared = self._replaced if self._is_another(old, new) else self._arguments
        own = list(compared(old, new))
        yield from own
        shapes = _shapes(old.outputs), _shapes(new.outputs)
        if shapes[0] != shapes[1]:
            has_reason = (
                any(change.severity > Severity.COSMETIC for change in own)
                or _shapes(old.inputs) != _shapes(new.inputs)
                or new.id.partition("#")[0].replace(".", MODEL if new.id == "." else ".") in touched
            )
            yield Change(
                new.id, "output", shapes[0], shapes[1], Severity.BEHAVIOUR, not has_reason, kind_of(new)
            )

    def _is_another(self, old: Call, new: Call) -> bool:
        """Whether a call is not that of the same module, or of the same function."""
        if isinstance(old, LayerCall) and isinstance(new, LayerCall):
            return self.pairs.modules.new.get(old.module.name) != new.module.name
        return kind_of(old) != kind_of(new)

    def _replaced(self, old: Call, new: Call) -> Iterator[Change]:
        """A call in another's place: of another function, or the same one spelled otherwise."""
        first, second = spelled(old), spelled(new)
        kind = kind_of(new)
        if first.function != second.function:
            yield Change(new.id, "call", kind_of(old), kind, Severity.BEHAVIOUR, kind=kind)
            return
        keys = dict.fromkeys((*first.settings, *second.settings))
        found = [
            (key, *(side.settings.get(key) or default_of(side.function, key) for side in (first, second)))
            for key in keys
        ]
        differing = [(key, a, b) for key, a, b in found if a != b]
        for key, a, b in differing:
            severity = argument_severity(new, key, self.pairs.after.training)
            yield Change(new.id, key, a, b, severity, kind=kind)
        if is_random(old) and is_random(new):
            modes = drops(old, self.pairs.before.training), drops(new, self.pairs.after.training)
            if modes[0] != modes[1]:
                yield Change(new.id, "drops", str(modes[0]), str(modes[1]), Severity.BEHAVIOUR, kind=kind)
        yield from self._tensors(first, second, new)
        if not differing and kind_of(old) != kind:
            yield Change(new.id, "call", kind_of(old), kind, Severity.COSMETIC, kind=kind)

    def _tensors(self, old: Spelled, new: Spelled, call: Call) -> Iterator[Change]:
        """Other parameters or buffers; the count of batches is a module's alone."""
        sides = [{role: ref for role, ref in side.tensors if _is_state(ref)} for side in (old, new)]
        for role in dict.fromkeys((*sides[0], *sides[1])):
            first, second = sides[0].get(role), sides[1].get(role)
            same = first is not None and second is not None and self.pairs.same(first, second)
            if not same and role != "num_batches_tracked":
                states = [ABSENT if ref is None else ref.name for ref in (first, second)]
                yield Change(call.id, role, states[0], states[1], Severity.BEHAVIOUR, kind=kind_of(call))

    def _arguments(self, old: Call, new: Call) -> Iterator[Change]:
        first, second = _named(old), _named(new)
        kind = kind_of(new)
        differing = [
            key
            for key in dict.fromkeys((*first, *second))
            if not (key in first and key in second and self.pairs.same(first[key], second[key]))
        ]
        if not differing:
            return
        same = self._is_respelled(old, new)
        for key in differing:
            states = [_show(side[key]) if key in side else ABSENT for side in (first, second)]
            if same:
                yield Change(new.id, key, states[0], states[1], Severity.COSMETIC, kind=kind)
            else:
                severity = argument_severity(new, key, self.pairs.after.training)
                through = self._through(first.get(key), second.get(key))
                if through is not None:
                    severity = self.weight_of(through)
                yield Change(new.id, key, states[0], states[1], severity, through is None, kind)

    def _is_respelled(self, old: Call, new: Call) -> bool:
        """Whether the arguments say the same in other words, as operands of a sum in another order."""
        refs = [[(self.pairs.refs.get(r.name, r.name), r.index) for r in input_refs(old)]]
        refs.append([(r.name, r.index) for r in input_refs(new)])
        plain = not (old.kwargs or new.kwargs) and len(old.args) == len(refs[0])
        if kind_of(new) in COMMUTATIVE and plain:
            refs = [sorted(side) for side in refs]
        if refs[0] != refs[1]:
            return False
        first, second = spelled(old), spelled(new)
        roles = [[role for role, _ in side.tensors] for side in (first, second)]
        return roles[0] == roles[1] and first.settings == second.settings

    def _through(self, old: Value, new: Value) -> list[str] | None:
        """The calls that came or went and that explain why a call takes something else; ``None`` if none do."""
        sides = [list(refs_in(value)) for value in (old, new)]
        if not _only_refs_differ(old, new) or not all(sides):
            return None
        if len(sides[0]) != len(sides[1]):
            return self._one_more(*sides)
        passed: list[str] = []
        for first, second in zip(*sides, strict=True):
            if not self.pairs.same(first, second):
                found = self.pairs.between(first, second)
                if not found:
                    return None
                passed += found
        return passed

    def _one_more(self, old: list[Ref], new: list[Ref]) -> list[str] | None:
        """A list of operands that grew or shrank by calls that came or went."""
        there = {(ref.name, ref.index) for ref in new}
        translated = {(self.pairs.refs.get(ref.name, ref.name), ref.index) for ref in old}
        extra = [name for name, _ in there ^ translated]
        known = self.pairs.gone | self.pairs.came
        return sorted(extra) if extra and all(name in known for name in extra) else None

    def weight_of(self, calls: list[str]) -> Severity:
        """The most that calls matter which came or went between two that stayed."""
        weights = []
        for call in calls:
            trace = self.pairs.after if call in self.pairs.came else self.pairs.before
            weights.append(presence_severity(trace.by_id[call], trace.training))
        return max(weights, default=Severity.COSMETIC)


def _is_state(ref: Ref) -> bool:
    return ref.name.startswith(("param:", "buffer:"))


def _gone_after(calls: tuple[Call, ...], paired: Mapping[str, str]) -> dict[str, list[Call]]:
    """Calls without a counterpart, by the last call before them that has one."""
    found: dict[str, list[Call]] = {}
    last = ""
    for call in calls if len(paired) < len(calls) else ():
        if call.id in paired:
            last = call.id
        else:
            found.setdefault(last, []).append(call)
    return found


def _named(call: Call) -> dict[str, Value]:
    """A call's arguments by name: operands are ``input``, ``input 2`` and so on."""
    operands = {
        "input" if position == 1 else f"input {position}": value
        for position, value in enumerate(call.args, start=1)
    }
    return {**operands, **call.kwargs}


def _only_refs_differ(old: Value, new: Value) -> bool:
    """Whether two values are the same but for tensors, of which lists may hold more or fewer."""
    if isinstance(old, Ref) or isinstance(new, Ref):
        return isinstance(old, Ref) and isinstance(new, Ref)
    if isinstance(old, tuple) and isinstance(new, tuple):
        if all(isinstance(item, Ref) for item in (*old, *new)):
            return True
        return len(old) == len(new) and all(map(_only_refs_differ, old, new))
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return list(old) == list(new) and all(_only_refs_differ(old[key], new[key]) for key in old)
    return value_text(old) == value_text(new)


def _shapes(specs: tuple[TensorSpec, ...]) -> str:
    return " ".join(spec_text(spec) for spec in specs)


def _show(value: Value) -> str:
    return value_text(value).replace("%", "")
