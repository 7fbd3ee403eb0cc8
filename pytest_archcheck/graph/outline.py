"""The calls of a trace as a tree of units, each with what it and all inside of it cost: what tables and pictures show.

Every call lies in one unit, every parameter and MAC is counted in one, so that any cut through the tree sums up to the
trace's own numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from dataclasses import dataclass, field
from itertools import groupby

from pytest_archcheck.costs.calls import kind_of
from pytest_archcheck.names import span
from pytest_archcheck.records import Call, LayerCall, StateTensor, input_refs, lineage
from pytest_archcheck.traces import Trace


@dataclass(frozen=True, slots=True, eq=False)
class Unit:
    """One call with the units that run inside of it, in order of execution.

    ``params`` are elements, of parameters at their first use; ``macs`` multiply-accumulates; ``depth`` is how many
    layers a convention counts inside; ``uncounted`` are the ids of calls whose MACs are not known. ``form`` is the same
    number for units that are alike: of one class, with the same shapes and numbers, all parts included.
    """

    call: Call
    parts: tuple[Unit, ...]
    params: int
    trainable: int
    macs: int
    depth: int
    uncounted: tuple[str, ...]
    form: int

    @property
    def name(self) -> str:
        """The call's id."""
        return self.call.id

    @property
    def kind(self) -> str:
        """Class or function, without the package."""
        return kind_of(self.call).rpartition(".")[2]

    @property
    def figures(self) -> Hashable:
        """What is equal for units that look alike from outside."""
        return _figures(self.call, self.params, self.macs, bool(self.uncounted))


@dataclass(frozen=True, slots=True)
class Run:
    """Units that are alike and follow each other, as one."""

    units: tuple[Unit, ...]

    @property
    def first(self) -> Unit:
        """The first; the others are like it."""
        return self.units[0]

    @property
    def name(self) -> str:
        """``layer1.{1-2}`` for several."""
        return span(unit.name for unit in self.units)

    def total(self, number: Callable[[Unit], int]) -> int:
        """The sum of a number over all units."""
        return sum(map(number, self.units))


@dataclass(frozen=True, slots=True)
class Unused:
    """A module with parameters that nothing of this forward used; ``"."`` is the model itself."""

    name: str
    kind: str
    params: int
    trainable: int


@dataclass(frozen=True, slots=True)
class Outline:
    """All units of a trace: ``units`` at the top, and the modules whose parameters were not used."""

    units: tuple[Unit, ...]
    unused: tuple[Unused, ...]


def fold(units: Iterable[Unit], key: Callable[[Unit], Hashable]) -> list[Run]:
    """Units in runs of those that have the same key and follow each other."""
    return [Run(tuple(alike)) for _, alike in groupby(units, key)]


def outline(trace: Trace, convention: str = "paper") -> Outline:
    """The units of a trace, with depths under a convention.

    Raises:
        UsageError: there is no convention of that name.
    """
    builder = _Builder(trace)
    builder.add_macs()
    builder.add_depth(convention)
    unused = builder.add_parameters()
    return Outline(builder.built(), unused)


@dataclass(slots=True)
class _Open:
    """A unit that is being built: numbers of its own call alone."""

    call: Call
    parent: int | None
    params: int = 0
    trainable: int = 0
    macs: int = 0
    depth: int = 0
    uncounted: list[str] = field(default_factory=list)
    parts: list[Unit] = field(default_factory=list)


class _Builder:
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.index: dict[str, int] = {}
        self.first: dict[str, int] = {}
        """The first call of each module."""
        self.open: list[_Open] = []
        latest: dict[str, int] = {}
        for at, call in enumerate(trace.calls):
            above = lineage(call.module.name)[:-1] if isinstance(call, LayerCall) else lineage(call.scope)
            parent = next((latest[name] for name in reversed(above) if name in latest), None)
            self.open.append(_Open(call, parent))
            self.index[call.id] = at
            if isinstance(call, LayerCall):
                self.first.setdefault(call.name, at)
                if not call.atomic:
                    latest[call.module.name] = at

    def add_macs(self) -> None:
        count = self.trace.mac_count
        for name, macs in count.per_call.items():
            if name in self.index:  # else it is a formula for the whole model
                self.open[self.index[name]].macs += macs
        for name in count.uncounted:
            home = self.index.get(name)
            if home is None:
                module = name.removeprefix("opaque:").partition("#")[0]
                home = next((self.first[n] for n in reversed(lineage(module)) if n in self.first), None)
            if home is not None:
                self.open[home].uncounted.append(name)

    def add_depth(self, convention: str) -> None:
        for layer in self.trace.explain_depth(convention).counted:
            at = self.index.get(layer.name, self.first.get(layer.name))
            if at is not None:
                self.open[at].depth += layer.weight

    def add_parameters(self) -> tuple[Unused, ...]:
        """Count every parameter where it is first used; gives those that nothing uses."""
        users: dict[str, int] = {}
        for at, call in enumerate(self.trace.calls):
            for ref in input_refs(call):
                users.setdefault(ref.name, at)
        rest: dict[str, list[StateTensor]] = {}
        ran = {name for module in self.first for name in lineage(module)}
        for tensor in self.trace.params.state:
            if tensor.kind != "param" or tensor.tied_to is not None:
                continue
            home = self._home_of(tensor, users)
            if home is None:
                owner = tensor.name.rpartition(".")[0]
                outermost = next((name for name in lineage(owner) if name and name not in ran), owner)
                rest.setdefault(outermost, []).append(tensor)
            else:
                self.open[home].params += tensor.spec.numel
                self.open[home].trainable += tensor.spec.numel * tensor.trainable
        types = {module.name: module.type for module in self.trace.modules}
        return tuple(
            Unused(
                name or ".",
                types.get(name, self.trace.model.type).rpartition(".")[2],
                sum(tensor.spec.numel for tensor in tensors),
                sum(tensor.spec.numel for tensor in tensors if tensor.trainable),
            )
            for name, tensors in rest.items()
        )

    def _home_of(self, tensor: StateTensor, users: dict[str, int]) -> int | None:
        """The first call of the atomic layer that a parameter belongs to, or of the function that takes it."""
        owner = tensor.name.rpartition(".")[0]
        above = (self.first.get(name or ".") for name in reversed(lineage(owner)))
        atomic = (at for at in above if at is not None and self._is_atomic(at))
        return next(atomic, users.get(f"param:{tensor.name}"))

    def _is_atomic(self, at: int) -> bool:
        call = self.open[at].call
        return isinstance(call, LayerCall) and call.atomic

    def built(self) -> tuple[Unit, ...]:
        """The units at the top; from the last call to the first, so that depth of nesting is no matter."""
        forms: dict[Hashable, int] = {}
        top: list[Unit] = []
        for each in reversed(self.open):
            parts = tuple(each.parts[::-1])
            params = each.params + sum(part.params for part in parts)
            macs = each.macs + sum(part.macs for part in parts)
            uncounted = (*each.uncounted, *(name for part in parts for name in part.uncounted))
            looks = _figures(each.call, params, macs, bool(uncounted)), *(part.form for part in parts)
            unit = Unit(
                each.call,
                parts,
                params,
                each.trainable + sum(part.trainable for part in parts),
                macs,
                each.depth + sum(part.depth for part in parts),
                uncounted,
                forms.setdefault(looks, len(forms)),
            )
            (top if each.parent is None else self.open[each.parent].parts).append(unit)
        return tuple(top[::-1])


def _figures(call: Call, params: int, macs: int, is_partial: bool) -> Hashable:
    return kind_of(call), tuple(spec.shape for spec in call.outputs), params, macs, is_partial
