"""Changes of parameters, buffers and other tensors of the state."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cached_property

from pytest_archcheck.drift.pairs import Pairs
from pytest_archcheck.drift.severity import ABSENT, Change, Severity
from pytest_archcheck.drift.structure import Structure
from pytest_archcheck.drift.trees import leaf_of, owner_of
from pytest_archcheck.drift.writer import spec_text
from pytest_archcheck.records import StateTensor


class State:
    """The tensors of two traces side by side; a change comes with the module whose change would explain it."""

    def __init__(self, pairs: Pairs, structure: Structure) -> None:
        self.pairs, self.structure = pairs, structure
        self.names = pairs.state
        self.has_ties = any(
            t.tied_to is not None for trace in (pairs.before, pairs.after) for t in trace.state
        )

    @cached_property
    def groups(self) -> list[dict[str, list[str]]]:
        """All names of each tensor, of both traces."""
        return [_groups(trace.state) for trace in (self.pairs.before, self.pairs.after)]

    def changes(self) -> Iterator[tuple[str, Change]]:
        """Every change of a tensor. One that only its module's name changed is none of its own."""
        trees = self.pairs.modules.before, self.pairs.modules.after
        for side, tensors in enumerate((self.pairs.before.state, self.pairs.after.state)):
            known = self.names.new if side == 0 else self.names.old
            for tensor in tensors:
                if tensor.name not in known:
                    owner = owner_of(tensor, trees[side])
                    states = (
                        (spec_text(tensor.spec), ABSENT) if side == 0 else (ABSENT, spec_text(tensor.spec))
                    )
                    severity = Severity.BREAKING if tensor.saved else Severity.BEHAVIOUR
                    yield (
                        owner,
                        Change(tensor.name, tensor.kind, states[0], states[1], severity, kind=tensor.kind),
                    )
        for old, new in self.names.new.items():
            tensors = self.names.old_tensors[old], self.names.new_tensors[new]
            if tensors[0] is tensors[1] and not self.has_ties:
                continue
            for change in self._tensor(*tensors):
                yield owner_of(tensors[1], trees[1]), change

    def _tensor(self, old: StateTensor, new: StateTensor) -> Iterator[Change]:
        def change(attribute: str, before: str, after: str, severity: Severity) -> Change:
            return Change(new.name, attribute, before, after, severity, kind=new.kind)

        trees = self.pairs.modules.before, self.pairs.modules.after
        leaves = [leaf_of(t, owner_of(t, tree)) for t, tree in zip((old, new), trees, strict=True)]
        breaking = Severity.BREAKING if new.saved or old.saved else Severity.BEHAVIOUR
        if leaves[0] != leaves[1] and old.name != new.name:
            yield change("name", old.name, new.name, breaking)
        if old.kind != new.kind:
            yield change("kind", old.kind, new.kind, Severity.TRAINING)
        if old.spec.shape != new.spec.shape:
            yield change("shape", spec_text(old.spec), spec_text(new.spec), breaking)
        elif old.spec.dtype != new.spec.dtype:
            yield change("dtype", old.spec.dtype, new.spec.dtype, breaking)
        if old.trainable != new.trainable and old.kind == new.kind:
            states = ["trainable" if t.trainable else "frozen" for t in (old, new)]
            yield change("requires_grad", states[0], states[1], Severity.TRAINING)
        yield from self._tied(old, new)
        if old.stored != new.stored:
            states = [ABSENT if t.stored is None else f"{t.stored} bytes" for t in (old, new)]
            yield change("stored", states[0], states[1], Severity.COST)
        if old.saved != new.saved:
            states = ["saved" if t.saved else "not saved" for t in (old, new)]
            yield change("state dict", states[0], states[1], Severity.BREAKING)

    def _tied(self, old: StateTensor, new: StateTensor) -> Iterator[Change]:
        """Which names one tensor has; told once, at the name that is not the first."""
        groups = [
            [self.names.new.get(name, name) for name in self.groups[0][old.name]],
            self.groups[1][new.name],
        ]
        if set(groups[0]) == set(groups[1]) or new.name == groups[0][0] == groups[1][0]:
            return
        states = [_shared_with(group, new.name) for group in groups]
        if states[0] != states[1]:
            yield Change(new.name, "tied to", states[0], states[1], Severity.TRAINING, kind=new.kind)


def _groups(tensors: tuple[StateTensor, ...]) -> dict[str, list[str]]:
    """All names of the tensor that a name stands for."""
    members: dict[str, list[str]] = defaultdict(list)
    for tensor in tensors:
        members[tensor.tied_to or tensor.name].append(tensor.name)
    return {name: names for names in members.values() for name in names}


def _shared_with(group: list[str], name: str) -> str:
    first = group[0] if group[0] != name or len(group) == 1 else group[1]
    return "its own" if first == name else first
