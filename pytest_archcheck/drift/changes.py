"""Find every difference between two traces, and tell causes from what follows from them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import zip_longest

from pytest_archcheck.drift.severity import (
    Change,
    Severity,
    argument_severity,
    config_severity,
    presence_severity,
)
from pytest_archcheck.drift.writer import same_value, spec_text, value_text
from pytest_archcheck.records import (
    Call,
    LayerCall,
    Module,
    Op,
    Ref,
    StateTensor,
    TensorSpec,
    Value,
    input_refs,
)
from pytest_archcheck.traces import Trace

ABSENT = "absent"


def find_changes(before: Trace, after: Trace) -> list[Change]:
    """The changes from one trace to another, causes first, each group in order of execution."""
    return list(_Comparison(before, after).changes())


class _Comparison:
    def __init__(self, before: Trace, after: Trace) -> None:
        self.before = before
        self.after = after
        self.removed = before.by_id.keys() - after.by_id.keys()
        self.added = after.by_id.keys() - before.by_id.keys()
        # an input that is only named otherwise is the same input
        self.renamed = {
            f"in:{new.path}": f"in:{old.path}" for old, new in zip(before.inputs, after.inputs, strict=False)
        }
        self.parents = {
            module.name.rpartition(".")[0]
            for trace in (before, after)
            for module in trace.modules
            if module.name
        }
        self.touched: set[str] = set()  # modules with a change of their own

    def changes(self) -> Iterator[Change]:
        calls = list(self._calls())
        others = [*self._model(), *self._inputs(), *self._modules(), *self._outputs(), *self._state()]
        found = [*others, *calls]
        yield from (change for change in found if change.cause)
        yield from (change for change in found if not change.cause)

    # -- the model as a whole ------------------------------------------------------------------

    def _model(self) -> Iterator[Change]:
        yield from self._module_itself(self.before.model, self.after.model, "the model", False)
        if self.before.training != self.after.training:
            modes = ["train" if t.training else "eval" for t in (self.before, self.after)]
            yield Change("the model", "mode", modes[0], modes[1], Severity.BEHAVIOUR)

    def _inputs(self) -> Iterator[Change]:
        yield from _leaves(self.before.inputs, self.after.inputs, "in:", Severity.BEHAVIOUR)

    def _outputs(self) -> Iterator[Change]:
        before, after = self.before.outputs, self.after.outputs
        follows = self.touched or _shapes(self.before.inputs) != _shapes(self.after.inputs)
        yield from _leaves(before, after, "output ", Severity.BREAKING, cause=not follows)
        for old, new in zip(before, after, strict=False):
            if not self._same_ref(old.source, new.source):
                cause = not (self._is_gone(old.source) or self._is_new(new.source))
                label = f"output {new.path}".strip()
                yield Change(label, "source", _show(old.source), _show(new.source), Severity.BEHAVIOUR, cause)

    def _modules(self) -> Iterator[Change]:
        """Modules that no forward called; the others are compared call by call."""
        old = _uncalled(self.before)
        new = _uncalled(self.after)
        called = {call.name for trace in (self.before, self.after) for call in trace.layers}
        for name in sorted((old.keys() | new.keys()) - called):
            if name in old and name in new:
                yield from self._module_itself(old[name], new[name], name, False)
            else:
                states = [source[name].type if name in source else ABSENT for source in (old, new)]
                yield Change(name, "uncalled module", states[0], states[1], Severity.COSMETIC)

    def _module_itself(self, old: Module, new: Module, label: str, atomic: bool) -> Iterator[Change]:
        if old.type != new.type:
            severity = Severity.BEHAVIOUR if atomic else Severity.COSMETIC
            yield Change(label, "class", old.type, new.type, severity)
        has_children = old.name in self.parents or not label
        for key in dict.fromkeys((*old.config, *new.config)):
            states = [
                value_text(module.config[key]) if key in module.config else ABSENT for module in (old, new)
            ]
            if states[0] != states[1] and (old.type == new.type or not atomic):
                severity = config_severity(new, key, has_children, atomic)
                yield Change(label, key, states[0], states[1], severity)

    # -- state -------------------------------------------------------------------------------------

    def _state(self) -> Iterator[Change]:
        old = {tensor.name: tensor for tensor in self.before.state}
        new = {tensor.name: tensor for tensor in self.after.state}
        for name in dict.fromkeys((*old, *new)):
            first, second = old.get(name), new.get(name)
            cause = not self._is_touched(name.rpartition(".")[0])
            if first is None or second is None:
                tensor = first or second
                assert tensor is not None
                severity = Severity.BREAKING if tensor.saved else Severity.BEHAVIOUR
                states = [_tensor(first), _tensor(second)]
                yield Change(name, tensor.kind, states[0], states[1], severity, cause)
            else:
                yield from _same_name(first, second, cause)

    def _is_touched(self, name: str) -> bool:
        """Whether a module, or one that holds it, came, went or changed."""
        while name and name not in self.touched:
            name = name.rpartition(".")[0]
        return bool(name)

    # -- calls -------------------------------------------------------------------------------------

    def _calls(self) -> Iterator[Change]:
        for call_id in dict.fromkeys((*self.before.by_id, *self.after.by_id)):
            old, new = self.before.by_id.get(call_id), self.after.by_id.get(call_id)
            found: list[Change] = []
            if old is None or new is None:
                found = [self._presence(old, new)]
            elif type(old) is type(new):
                found = list(self._call(old, new))
            if any(change.cause and change.severity > Severity.COSMETIC for change in found):
                self.touched.add(call_id.partition("#")[0])
            yield from found

    def _presence(self, old: Call | None, new: Call | None) -> Change:
        """A call that came or went; with a whole module, the module is the cause and its inside follows."""
        call = old or new
        assert call is not None
        others = {module.name for module in (self.after if new is None else self.before).modules}
        owner = call.module.name if isinstance(call, LayerCall) else call.scope
        above = owner.rpartition(".")[0] if isinstance(call, LayerCall) else owner
        cause = above in others
        severity = presence_severity(call)
        if owner not in others and cause and isinstance(call, LayerCall) and not call.atomic:
            severity = Severity.BEHAVIOUR
        if old is None:
            return Change(call.id, "call", ABSENT, _kind(call), severity, cause)
        gone = ABSENT if owner not in others or isinstance(call, Op) else "declared, not called"
        return Change(call.id, "call", _kind(call), gone, severity, cause)

    def _call(self, old: Call, new: Call) -> Iterator[Change]:
        own: list[Change] = []
        if isinstance(old, LayerCall) and isinstance(new, LayerCall):
            atomic = old.atomic or new.atomic
            own += self._module_itself(old.module, new.module, old.id, atomic)
            if old.number > 1:
                own = []  # told at the first call
            if not (old.atomic or new.atomic):
                yield from own
                yield from (self._follows(change) for change in self._made(old, new))
                return
        own += self._arguments(old, new)
        yield from own
        has_reason = (
            any(change.severity > Severity.COSMETIC for change in own)
            or _shapes(old.inputs) != _shapes(new.inputs)
            or old.id.partition("#")[0] in self.touched
        )
        for change in self._made(old, new):
            yield self._follows(change) if has_reason else change

    def _made(self, old: Call, new: Call) -> Iterator[Change]:
        first, second = _shapes(old.outputs), _shapes(new.outputs)
        if first != second:
            yield Change(old.id, "output", first, second, Severity.BEHAVIOUR)

    def _arguments(self, old: Call, new: Call) -> Iterator[Change]:
        first, second = _named(old), _named(new)
        for key in dict.fromkeys((*first, *second)):
            if key in first and key in second and self._same(first[key], second[key]):
                continue
            severity = argument_severity(new, key)
            states = [_show(side[key]) if key in side else ABSENT for side in (first, second)]
            yield Change(old.id, key, states[0], states[1], severity, self._is_rewired(old, new))

    def _is_rewired(self, old: Call, new: Call) -> bool:
        """Whether operands changed for a reason of their own: not because a call came or went."""
        return not (
            any(self._is_gone(ref) for ref in input_refs(old))
            or any(self._is_new(ref) for ref in input_refs(new))
        )

    def _is_gone(self, ref: Ref) -> bool:
        return ref.name in self.removed

    def _is_new(self, ref: Ref) -> bool:
        return ref.name in self.added

    def _same(self, old: Value, new: Value) -> bool:
        if isinstance(old, Ref) and isinstance(new, Ref):
            return self._same_ref(old, new)
        if isinstance(old, tuple) and isinstance(new, tuple):
            return len(old) == len(new) and all(map(self._same, old, new))
        return same_value(old, new)

    def _same_ref(self, old: Ref, new: Ref) -> bool:
        return (self.renamed.get(new.name, new.name), new.index) == (old.name, old.index)

    @staticmethod
    def _follows(change: Change) -> Change:
        return Change(
            change.layer, change.attribute, change.before, change.after, change.severity, cause=False
        )


def _named(call: Call) -> dict[str, Value]:
    """A call's arguments by name: operands are ``input``, ``input 2`` and so on."""
    operands = {
        "input" if position == 1 else f"input {position}": value
        for position, value in enumerate(call.args, start=1)
    }
    return {**operands, **call.kwargs}


def _same_name(old: StateTensor, new: StateTensor, cause: bool) -> Iterator[Change]:
    if old.kind != new.kind:
        yield Change(old.name, "kind", old.kind, new.kind, Severity.TRAINING, cause)
    if spec_text(old.spec) != spec_text(new.spec):
        severity = Severity.BREAKING if new.saved else Severity.BEHAVIOUR
        states = spec_text(old.spec), spec_text(new.spec)
        yield Change(old.name, "shape", *states, severity, cause)
    if old.trainable != new.trainable and old.kind == new.kind:
        states = tuple("trainable" if t.trainable else "frozen" for t in (old, new))  # type: ignore[assignment]
        yield Change(old.name, "requires_grad", states[0], states[1], Severity.TRAINING)
    if old.tied_to != new.tied_to:
        states = tuple(t.tied_to or "its own" for t in (old, new))  # type: ignore[assignment]
        yield Change(old.name, "tied to", states[0], states[1], Severity.TRAINING)
    if old.stored != new.stored:
        states = tuple(ABSENT if t.stored is None else f"{t.stored} bytes" for t in (old, new))  # type: ignore[assignment]
        yield Change(old.name, "stored", states[0], states[1], Severity.COST)
    if old.saved != new.saved:
        states = tuple("saved" if t.saved else "not saved" for t in (old, new))  # type: ignore[assignment]
        yield Change(old.name, "state dict", states[0], states[1], Severity.BREAKING)


def _leaves(
    before: tuple[TensorSpec, ...],
    after: tuple[TensorSpec, ...],
    label: str,
    severity: Severity,
    cause: bool = True,
) -> Iterator[Change]:
    for old, new in zip_longest(before, after):
        leaf = old or new
        name = f"{label}{leaf.path}".strip()
        states = [spec_text(spec) if spec else ABSENT for spec in (old, new)]
        if states[0] != states[1]:
            yield Change(name, "tensor", states[0], states[1], severity, cause)
        elif old.path != new.path:
            yield Change(name, "name", old.path, new.path, Severity.BREAKING, cause)


def _uncalled(trace: Trace) -> dict[str, Module]:
    called = {call.name for call in trace.layers}
    return {m.name: m for m in trace.modules if m.name and m.name not in called}


def _shapes(specs: tuple[TensorSpec, ...]) -> str:
    return " ".join(spec_text(spec) for spec in specs)


def _kind(call: Call) -> str:
    return call.type if isinstance(call, LayerCall) else call.function


def _tensor(tensor: StateTensor | None) -> str:
    return ABSENT if tensor is None else spec_text(tensor.spec)


def _show(value: Value) -> str:
    return value_text(value).replace("%", "")
