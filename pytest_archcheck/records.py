"""The record of one forward, as frozen plain data.

Requirements this module meets:

* it imports no torch, so a trace can be read, compared and explained without it;
* everything in a record is a value of the ``.arch`` text, so a trace read back is equal;
* derived numbers (MACs, depth, totals) are computed on demand and never stored.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from pytest_archcheck.costs.macs import MacCount
    from pytest_archcheck.costs.sizes import ParameterCount
    from pytest_archcheck.graph.dataflow import Graph
    from pytest_archcheck.graph.depth import DepthExplanation


@dataclass(frozen=True, slots=True)
class Symbol:
    """A class, function, dtype or other object, known by its qualified name."""

    name: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor, known by who made it.

    ``name`` is the id of a call (``"conv1"``, ``"layer1.0:add#2"``), or ``"in:x"``, ``"param:cls"``,
    ``"buffer:mask"``, ``"const:0"`` or ``"opaque:0"``; ``index`` counts the tensors that it made.
    """

    name: str
    index: int = 0


Value: TypeAlias = (
    "None | bool | int | float | str | Symbol | Ref | tuple[Value, ...] | dict[str, Value]"
)


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """Shape and dtype of a tensor; ``path`` says where it sat among inputs or outputs."""

    shape: tuple[int, ...]
    dtype: str = "float32"
    path: str = ""

    @property
    def numel(self) -> int:
        """Number of elements."""
        return prod(self.shape)


@dataclass(frozen=True, slots=True)
class Output(TensorSpec):
    """A tensor that the model returned, and the call that made it."""

    source: Ref = Ref("opaque:0")


@dataclass(frozen=True, slots=True)
class StateTensor:
    """One parameter, buffer or plain tensor attribute of the model.

    ``kind`` is ``"param"``, ``"buffer"``, ``"const"`` (a tensor that the model keeps and that is neither) or
    ``"opaque"`` (it appeared in the forward and no recorded call made it); ``tied_to`` names the first tensor
    that is the same object; ``saved`` is whether the state dict holds it.
    """

    name: str
    kind: str
    spec: TensorSpec
    trainable: bool = False
    tied_to: str | None = None
    saved: bool = True


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the tree, whether it ran or not."""

    name: str
    type: str
    config: Mapping[str, Value] = field(default_factory=dict)
    same_as: str | None = None

    @property
    def is_torch(self) -> bool:
        """Whether the class is one of ``torch.nn`` (these are written without a package)."""
        return "." not in self.type


@dataclass(frozen=True, slots=True)
class LayerCall:
    """One call of one module.

    ``sources`` is ``None`` for an atomic module, which made its outputs itself; for any other module it
    names the calls inside that made them. ``state`` holds the module's own parameters and buffers.
    """

    module: Module
    number: int
    args: tuple[Value, ...]
    kwargs: Mapping[str, Value]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    sources: tuple[Ref, ...] | None
    state: tuple[StateTensor, ...]

    @property
    def name(self) -> str:
        """Qualified name of the module, ``"."`` for a root without children."""
        return self.module.name or "."

    @property
    def id(self) -> str:
        """Name and, from the second call on, the call number: ``layer1.0.relu#2``."""
        return self.name if self.number == 1 else f"{self.name}#{self.number}"

    @property
    def type(self) -> str:
        """Class name: bare for ``torch.nn``'s own, fully qualified for all others."""
        return self.module.type

    @property
    def config(self) -> Mapping[str, Value]:
        """The constructor's arguments, as the module's attributes hold them."""
        return self.module.config

    @property
    def atomic(self) -> bool:
        """Whether nothing inside this call is recorded."""
        return self.sources is None

    @property
    def output(self) -> TensorSpec:
        """The first tensor that the call returned."""
        return _first(self.outputs, self.id)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of an atomic call; ``None`` where they are not known, or lie inside."""
        from pytest_archcheck.costs.macs import macs_of

        return macs_of(self)

    @property
    def params(self) -> ParameterCount:
        """The module's own parameters, children left out."""
        from pytest_archcheck.costs.sizes import count_parameters

        return count_parameters(self.state)


@dataclass(frozen=True, slots=True)
class Op:
    """One function called in the forward of a module that is not atomic."""

    scope: str
    function: str
    number: int
    args: tuple[Value, ...]
    kwargs: Mapping[str, Value]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    @property
    def name(self) -> str:
        """``layer1.0:add``: the module whose forward called it, and the function."""
        return f"{self.scope}:{self.function}"

    @property
    def id(self) -> str:
        """Name and, from the second call on, the call number: ``layer1.0:add#2``."""
        return self.name if self.number == 1 else f"{self.name}#{self.number}"

    @property
    def output(self) -> TensorSpec:
        """The first tensor that the call returned."""
        return _first(self.outputs, self.id)

    @property
    def macs(self) -> int | None:
        """Multiply-accumulates of this call; ``None`` where they are not known."""
        from pytest_archcheck.costs.macs import macs_of

        return macs_of(self)


Call: TypeAlias = LayerCall | Op


@dataclass(frozen=True, eq=False)
class Trace:
    """The frozen record of one forward.

    Two traces are equal when their canonical text is; ``placement`` and ``notes`` (which rungs of the
    placement ladder were tried, and why they failed) are neither in the text nor part of equality.
    """

    model: Module
    training: bool
    inputs: tuple[TensorSpec, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Output, ...]
    modules: tuple[Module, ...]
    state: tuple[StateTensor, ...]
    placement: str = ""
    notes: tuple[str, ...] = ()

    @cached_property
    def layers(self) -> tuple[LayerCall, ...]:
        """Layer calls in order of execution, a module before what it calls."""
        return tuple(call for call in self.calls if isinstance(call, LayerCall))

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """Function calls in order of execution."""
        return tuple(call for call in self.calls if isinstance(call, Op))

    @cached_property
    def by_id(self) -> Mapping[str, Call]:
        """Every call by its id."""
        return {call.id: call for call in self.calls}

    def __getitem__(self, name: str) -> Call:
        """The call with this id, as in ``trace["layer1.0.conv1"]``.

        Raises:
            KeyError: no such call ran; the message names the nearest ones.
        """
        try:
            return self.by_id[name]
        except KeyError:
            near = difflib.get_close_matches(name, self.by_id, n=3, cutoff=0.5)
            hint = f"; the nearest are {', '.join(near)}" if near else ""
            raise KeyError(
                f"no call {name!r} among the {len(self.calls)} calls of {self.model.type}{hint}"
            ) from None

    def __contains__(self, name: object) -> bool:
        return name in self.by_id

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def output(self) -> Output:
        """The main output: the first tensor that the model returned."""
        return self.outputs[0]

    @property
    def params(self) -> ParameterCount:
        """Parameters of the whole model, tied ones once."""
        from pytest_archcheck.costs.sizes import count_parameters

        return count_parameters(self.state)

    @cached_property
    def mac_count(self) -> MacCount:
        """Multiply-accumulates per call and in total, and what could not be counted."""
        from pytest_archcheck.costs.macs import count_macs

        return count_macs(self)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward; see ``status`` for whether that is all of them."""
        return self.mac_count.total

    @property
    def flops(self) -> int:
        """Floating-point operations: 2 × MACs, by this project's definition."""
        return 2 * self.macs

    @property
    def size(self) -> int:
        """Bytes of the parameters and buffers that the state dict saves, tied ones once."""
        from pytest_archcheck.costs.sizes import state_bytes

        return state_bytes(self.state)

    @property
    def status(self) -> str:
        """``"complete"``, or ``"partial: …"`` with the names of what was not counted."""
        return self.mac_count.status

    def depth(self, convention: str) -> int:
        """The model's depth under a named convention, see ``graph.conventions``.

        Raises:
            UsageError: there is no convention of that name.
        """
        return self.explain_depth(convention).depth

    def explain_depth(self, convention: str) -> DepthExplanation:
        """What a convention counted, in order, and what it left out, with the reason."""
        from pytest_archcheck.graph.conventions import explain_depth

        return explain_depth(self, convention)

    @cached_property
    def graph(self) -> Graph:
        """The data flow between the calls."""
        from pytest_archcheck.graph.dataflow import Graph

        return Graph(self)

    @cached_property
    def stages(self) -> tuple[int, ...]:
        """Number of blocks in each stage: ``(2, 2, 2, 2)`` for ResNet-18."""
        from pytest_archcheck.graph.blocks import find_stages

        return tuple(len(stage) for stage in find_stages(self))

    def to_text(self) -> str:
        """The canonical ``.arch`` text, with derived numbers as comments."""
        from pytest_archcheck.drift.writer import write

        return write(self)

    @classmethod
    def from_text(cls, text: str) -> Trace:
        """The trace that a text records.

        Raises:
            FormatError: the text is not a valid ``.arch`` file; the line is named.
        """
        from pytest_archcheck.drift.reader import read

        return read(text)

    @cached_property
    def record_text(self) -> str:
        """The canonical text without the derived numbers: what equality compares."""
        from pytest_archcheck.drift.writer import write

        return write(self, derived=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return self.record_text == other.record_text

    def __hash__(self) -> int:
        return hash(self.record_text)

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.model.type}: {len(self.layers)} layer calls, {len(self.ops)} ops, "
            f"{self.params.total} parameters, {self.macs} MACs ({self.status})>"
        )


def refs_in(value: object) -> Iterator[Ref]:
    """All references inside a recorded value, in order."""
    if isinstance(value, Ref):
        yield value
    elif isinstance(value, tuple):
        for item in value:
            yield from refs_in(item)
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from refs_in(item)


def input_refs(call: Call) -> Iterator[Ref]:
    """The tensors that a call took, in order; they pair with ``call.inputs``."""
    yield from refs_in(call.args)
    yield from refs_in(call.kwargs)


def _first(outputs: tuple[TensorSpec, ...], call: str) -> TensorSpec:
    if not outputs:
        raise AttributeError(f"{call} returned no tensor")
    return outputs[0]
