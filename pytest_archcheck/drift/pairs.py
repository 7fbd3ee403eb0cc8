"""Which call, tensor and input of one trace is which of another.

Calls of paired modules go together in order, and so do calls of one function in paired modules; where their numbers
differ, by what they take. What is left is paired where it stands in the same place and takes the same: a
function that replaced another, or a function in place of a module.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property

from pytest_archcheck.drift.modules import ModulePairs
from pytest_archcheck.drift.sequences import aligned
from pytest_archcheck.drift.trees import leaf_of, owner_of
from pytest_archcheck.drift.writer import value_text
from pytest_archcheck.matching.spellings import spelled
from pytest_archcheck.records import Call, LayerCall, Op, Ref, StateTensor, Value, input_refs, lineage
from pytest_archcheck.traces import Trace

COMMUTATIVE = ("add", "mul")
_FAR = 100
"""Calls that came or went between two that stayed; more are a change of their own."""


class Pairs:
    """What of the trace before is what of the trace after, by name."""

    def __init__(self, before: Trace, after: Trace) -> None:
        self.before, self.after = before, after
        self.modules = ModulePairs(before, after)
        self.state = _State(self.modules, before, after)
        self.inputs = _inputs(before, after)
        self.refs = {f"in:{old}": f"in:{new}" for old, new in self.inputs.items() if old != new}
        """Tensors that have another name after, by who made them."""
        self.refs |= self.state.renamed
        self.tied = {
            f"{t.kind}:{t.name}": f"{t.kind}:{t.tied_to}" for t in after.state if t.tied_to is not None
        }
        """Second names of tensors, with the first."""
        self.calls: dict[str, str] = {}
        self._other: list[tuple[Call, Call]] = []
        """The pairs of calls of which both texts do not have the same line."""
        self._in_place()
        self._in_another_spelling()
        self.refs |= {old: new for old, new in self.calls.items() if old != new}
        self.refs |= self._makers()
        self.gone = {call_id for call_id in before.by_id if call_id not in self.calls}
        self.kept = set(self.calls.values())
        self.came = after.by_id.keys() - self.kept

    # -- calls -----------------------------------------------------------------------------------------

    def _in_place(self) -> None:
        """Pair calls of one module, or of one function in one module."""
        sides = [_by_place(trace) for trace in (self.before, self.after)]
        for place, old in sides[0].items():
            module, function = place
            there = self.modules.new.get(module)
            new = sides[1].get((there, function), []) if there is not None else []
            if len(old) == len(new):
                pairs: Iterable[tuple[Call, Call]] = zip(old, new, strict=True)
            elif not new:
                continue
            else:
                pairs = _in_sequence(old, new, self._taken(old, self.modules.new), self._taken(new, {}))
            for a, b in pairs:
                self.calls[a.id] = b.id
                if a is not b:
                    self._other.append((a, b))

    def _taken(self, calls: Sequence[Call], names: Mapping[str, str]) -> list[Hashable]:
        """For each call what it takes, roughly: settings, and the modules and functions that made its tensors."""
        return [
            (
                *(_rough(value, names) for value in call.args),
                *(_rough(value, names) for value in call.kwargs.values()),
            )
            for call in calls
        ]

    def _in_another_spelling(self) -> None:
        """Pair what is left where it takes the same in the same place."""
        left = [call for call in self.before.calls if call.id not in self.calls and _computes(call)]
        if not left:
            return
        new = set(self.calls.values())
        there: dict[Hashable, list[Call]] = defaultdict(list)
        for call in self.after.calls:
            if call.id not in new and _computes(call):
                there[_place(call), _operands(call, {})].append(call)
        for call in left:
            scope = self.modules.home(_place(call))
            free = [
                other
                for other in there.get((scope, _operands(call, self.refs, self.calls)), ())
                if other.id not in new and self._may_be(call, other)
            ]
            if free:
                mine = spelled(call).function
                best = next((other for other in free if spelled(other).function == mine), None)
                if best is None and len(free) == 1 and _is_replaceable(call, free[0]):
                    best = free[0]
                if best is not None:
                    self._other.append((call, best))
                    self.calls[call.id] = best.id
                    new.add(best.id)

    def _may_be(self, old: Call, new: Call) -> bool:
        """Whether a call may have taken another's place: not that of a module that both sides have."""
        if not (isinstance(old, LayerCall) and isinstance(new, LayerCall)):
            return True
        names, module = self.modules, new.module.name
        if names.home(old.module.name) == module:
            return True
        return not old.state and not new.state and module not in names.old

    def _makers(self) -> dict[str, str]:
        """What makes a module's output where only one side looks into it."""
        found = {}
        for old, new in self._other:
            if isinstance(old, LayerCall) and isinstance(new, LayerCall):
                if old.sources and new.atomic:
                    found[old.sources[0].name] = new.id
                elif new.sources and old.atomic:
                    found[old.id] = new.sources[0].name
        return found

    # -- data flow -------------------------------------------------------------------------------------

    def same(self, old: Value, new: Value) -> bool:
        """Whether two values are the same, tensors by who made them."""
        if isinstance(old, Ref) and isinstance(new, Ref):
            names = self.refs.get(old.name, old.name), new.name
            return (
                self.tied.get(names[0], names[0]) == self.tied.get(names[1], names[1])
                and old.index == new.index
            )
        if isinstance(old, tuple) and isinstance(new, tuple):
            return len(old) == len(new) and all(map(self.same, old, new))
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            return list(old) == list(new) and all(self.same(old[key], new[key]) for key in old)
        return value_text(old) == value_text(new)

    def between(self, old: Ref, new: Ref) -> list[str] | None:
        """The calls that came or went between a call and its operand; ``None`` if that is not what changed it."""
        there = _upstream(self.after, new, self.came)
        best: tuple[int, list[str]] | None = None
        for (name, index), passed in _upstream(self.before, old, self.gone).items():
            others = there.get((self.refs.get(name, name), index))
            if others is not None and (best is None or len(passed) + len(others) < best[0]):
                best = len(passed) + len(others), [*passed, *others]
        return None if best is None else best[1]


def _upstream(trace: Trace, ref: Ref, unpaired: set[str]) -> dict[tuple[str, int], tuple[str, ...]]:
    """The tensors before a tensor that both traces have, each with the calls on the way that only this one has."""
    found: dict[tuple[str, int], tuple[str, ...]] = {}
    waiting: deque[tuple[Ref, tuple[str, ...]]] = deque([(ref, ())])
    seen = {ref}
    while waiting:
        here, passed = waiting.popleft()
        found[here.name, here.index] = passed
        if here.name in unpaired and len(passed) < _FAR:
            for up in input_refs(trace.by_id[here.name]):
                if up not in seen:
                    seen.add(up)
                    waiting.append((up, (*passed, here.name)))
    return found


class _State:
    """Tensors of the state by name under the modules' new names, then by kind and shape in one module."""

    def __init__(self, modules: ModulePairs, before: Trace, after: Trace) -> None:
        self.old_tensors = {tensor.name: tensor for tensor in before.state}
        self.new_tensors = {tensor.name: tensor for tensor in after.state}
        self.new: dict[str, str] = {}
        left: dict[Hashable, list[str]] = defaultdict(list)
        for tensor in before.state:
            owner = owner_of(tensor, modules.before)
            if owner not in modules.new:
                if modules.is_shared(0, owner) and tensor.name in self.new_tensors:
                    self.new[tensor.name] = tensor.name
                continue
            there = modules.new[owner]
            name = f"{there}.{leaf_of(tensor, owner)}" if there else leaf_of(tensor, owner)
            if name in self.new_tensors:
                self.new[tensor.name] = name
            else:
                left[_alike(tensor, there)].append(tensor.name)
        taken = set(self.new.values())
        free: dict[Hashable, list[str]] = defaultdict(list)
        if left:
            for tensor in after.state:
                if tensor.name not in taken:
                    free[_alike(tensor, owner_of(tensor, modules.after))].append(tensor.name)
        for alike, names in left.items():
            if len(names) == len(free.get(alike, ())) == 1:
                self.new[names[0]] = free[alike][0]

    @property
    def renamed(self) -> dict[str, str]:
        """The tensors that have another name or kind after, as references."""
        pairs = ((self.old_tensors[old], self.new_tensors[new]) for old, new in self.new.items())
        return {
            f"{a.kind}:{a.name}": f"{b.kind}:{b.name}"
            for a, b in pairs
            if (a.name, a.kind) != (b.name, b.kind)
        }

    @cached_property
    def old(self) -> dict[str, str]:
        """The old name of every tensor that has one."""
        return {new: old for old, new in self.new.items()}


def _alike(tensor: StateTensor, owner: str) -> Hashable:
    return owner, tensor.kind, tensor.spec.shape, tensor.spec.dtype


def _inputs(before: Trace, after: Trace) -> dict[str, str]:
    """Inputs by name, the others in order."""
    names = [[spec.path for spec in trace.inputs] for trace in (before, after)]
    pairs = {name: name for name in names[0] if name in names[1]}
    rest = [[name for name in side if name not in pairs] for side in names]
    return pairs | dict(zip(*rest, strict=False))


def _by_place(trace: Trace) -> dict[tuple[str, str], list[Call]]:
    """Calls by module and function; a layer's calls by the module alone."""
    found: dict[tuple[str, str], list[Call]] = defaultdict(list)
    for call in trace.calls:
        key = (call.module.name, "") if isinstance(call, LayerCall) else (call.scope, call.function)
        found[key].append(call)
    return found


def _in_sequence(
    old: Sequence[Call], new: Sequence[Call], takes: list[Hashable], taken: list[Hashable]
) -> Iterator[tuple[Call, Call]]:
    """Pair calls of which some came or went: those that take the same, in order."""
    for tag, i1, i2, j1, j2 in aligned(takes, taken):
        if tag in ("equal", "replace"):
            yield from zip(old[i1:i2], new[j1:j2], strict=False)


def _rough(value: Value, names: Mapping[str, str]) -> Hashable:
    """A value with tensors as the module, or the function, that made them: numbers of calls may have shifted."""
    if isinstance(value, Ref):
        name = value.name.partition("#")[0]
        scope, colon, function = name.rpartition(":")
        return names.get(scope, scope) + colon + function if colon else names.get(name, name), value.index
    if isinstance(value, tuple):
        return tuple(_rough(item, names) for item in value)
    return value_text(value)


def _computes(call: Call) -> bool:
    return isinstance(call, Op) or call.atomic


def _place(call: Call) -> str:
    """The module in whose forward a call stands, by its name."""
    return call.scope if isinstance(call, Op) else lineage(call.module.name)[-2] if call.module.name else ""


def _operands(call: Call, *names: Mapping[str, str]) -> tuple[tuple[str, int], ...]:
    """What a call computes from, under other names; parameters are left out."""
    found = []
    for ref in input_refs(call):
        if not ref.name.startswith(("param:", "buffer:")):
            name = next((known[ref.name] for known in names if ref.name in known), ref.name)
            found.append((name, ref.index))
    name = call.function if isinstance(call, Op) else call.type
    return tuple(sorted(found) if name in COMMUTATIVE else found)


def _is_replaceable(old: Call, new: Call) -> bool:
    """Whether one call may have taken another's place: the same results, or the same number of operands."""
    return [s.shape for s in old.outputs] == [s.shape for s in new.outputs]
