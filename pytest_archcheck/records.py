"""What a trace is made of, as frozen plain data: specs, references, state, modules, layer calls, ops.

Requirements this module meets:

* it imports no torch, so a trace can be read, compared and explained without it;
* everything in a record is a value of the ``.arch`` text, so a trace read back is equal;
* derived numbers (MACs, depth, totals) are computed on demand and never stored.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, TypeAlias

from pytest_archcheck.errors import noted

if TYPE_CHECKING:
    from pytest_archcheck.costs.parameters import ParameterCount


@dataclass(frozen=True, slots=True)
class Symbol:
    """A class, function, dtype or other object, known by its qualified name."""

    name: str


@dataclass(frozen=True, slots=True)
class Ref:
    """A tensor, known by who made it.

    ``name`` is the id of a call (``"conv1"``, ``"layer1.0:add#2"``), or ``"in:x"``, ``"param:cls"``,
    ``"buffer:mask"``, ``"const:anchors"`` or ``"opaque:layer1.0"``; ``index`` counts the tensors that it made.
    """

    name: str
    index: int = 0


Value: TypeAlias = "bool | int | float | str | Symbol | Ref | tuple[Value, ...] | dict[str, Value] | None"


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

    source: Ref = Ref("opaque:.")


@dataclass(frozen=True, slots=True)
class StateTensor:
    """One parameter, buffer or plain tensor attribute of the model.

    ``kind`` is ``"param"``, ``"buffer"``, ``"packed"`` (saved by a layer without parameters, as a quantized one),
    ``"const"`` (a tensor that the model keeps and that is none of these) or ``"opaque"`` (no recorded call made it; it
    is named by the module in whose forward it was met); ``tied_to`` names the first tensor that is the same object;
    ``saved`` is whether the state dict holds it; ``stored`` are its bytes where they do not follow from shape and
    dtype, as of a sparse tensor.
    """

    name: str
    kind: str
    spec: TensorSpec
    trainable: bool = False
    tied_to: str | None = None
    saved: bool = True
    stored: int | None = None


@dataclass(frozen=True, slots=True)
class Section:
    """A part of an ``.arch`` file that this release does not know, kept line by line."""

    title: str
    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Module:
    """One module of the tree, whether it ran or not."""

    name: str
    type: str
    config: Mapping[str, Value] = field(default_factory=dict)
    same_as: str | None = None

    @property
    def is_torch(self) -> bool:
        """Whether the class is one of ``torch.nn`` (these are written without a package), or its quantized form."""
        return "." not in self.type or self.type.startswith("torch.ao.nn.")

    @property
    def layer(self) -> str:
        """The ``torch.nn`` class whose products it computes: ``Conv2d`` also for a quantized ``ConvReLU2d``."""
        if not self.type.startswith("torch.ao.nn."):
            return self.type
        name = self.type.rpartition(".")[2]
        return _FUSED.sub(r"\1\2", name)


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
        name = self.module.name or "."
        return name if self.number == 1 else f"{name}#{self.number}"

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
        from pytest_archcheck.costs.parameters import count_parameters

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

_FUSED = re.compile(r"^(Conv|Linear)(?:Add|ReLU|LeakyReLU|Tanh)+(\dd)?$")

RECURRENT_OPS = ("lstm", "gru", "rnn_tanh", "rnn_relu")
"""Functions that ``nn.LSTM`` and its like call; one op holds all stacked layers."""


def lineage(name: str) -> tuple[str, ...]:
    """A module's name and those of all that hold it: ``("", "layer1", "layer1.0")``."""
    parts = name.split(".") if name else []
    return ("", *(".".join(parts[: n + 1]) for n in range(len(parts))))


def refs_in(value: object) -> Iterator[Ref]:
    """All references inside a recorded value, in order."""
    found: list[Ref] = []
    _collect(value, found)
    return iter(found)


def input_refs(call: Call) -> Iterator[Ref]:
    """The tensors that a call took, in order; they pair with ``call.inputs``."""
    found: list[Ref] = []
    _collect(call.args, found)
    if call.kwargs:
        _collect(call.kwargs, found)
    return iter(found)


def _collect(value: object, found: list[Ref]) -> None:
    kind = type(value)
    if kind is Ref:
        found.append(value)  # type: ignore[arg-type]
    elif kind is tuple:
        for item in value:  # type: ignore[attr-defined]
            _collect(item, found)
    elif isinstance(value, Mapping):
        for item in value.values():
            _collect(item, found)


def _first(outputs: tuple[TensorSpec, ...], call: str) -> TensorSpec:
    if not outputs:
        raise noted(AttributeError(f"{call} returned no tensor; its outputs are ()"), "trace")
    return outputs[0]
