"""Who made every tensor of one forward.

Requirements this module meets:

* a function that hands its argument back is told apart from that argument;
* a write in place is the new source of all tensors that share the written memory, views and bases alike;
* no activation outlives the forward: a source is kept on the tensor itself, and only the model's own and what
  it makes is written to.
"""

from __future__ import annotations

import weakref
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple, cast

import torch

from pytest_archcheck.recording.extents import Extent, extent_of, overlap
from pytest_archcheck.recording.twins import memory_of, version_of
from pytest_archcheck.recording.values import spec_of, tensors_in
from pytest_archcheck.records import Call, Ref, StateTensor, TensorSpec

Operands = list[tuple[torch.Tensor, int]]
"""The tensors among a call's arguments, each with its version before the call."""


class _Mark:
    """When a tensor got its value, from whom, and in which recording: another may have seen it before."""

    __slots__ = ("clock", "memory", "recording", "ref")

    def __init__(self, clock: int, ref: Ref, recording: object) -> None:
        self.clock = clock
        self.ref = ref
        self.recording = recording
        self.memory: int | None = None
        """The memory that the tensor looks at, once it was asked for."""


class _Write(NamedTuple):
    """When a part of some memory was written to, by which call, and where that call is recorded."""

    clock: int
    ref: Ref
    slot: int
    extent: Extent


class Sources:
    """The sources of one recording.

    Args:
        state: the clone's parameters and buffers, by id.
        hidden: the tensors that the clone holds besides, by id.
        calls: the calls recorded so far, which the recorder goes on to fill.
    """

    def __init__(
        self, state: Mapping[int, StateTensor], hidden: Mapping[int, StateTensor], calls: list[Call | None]
    ) -> None:
        self.others: dict[str, StateTensor] = {}
        """Tensors that the forward used and that are neither parameters nor buffers nor made in it."""
        self.scope = ""
        """The module whose forward is running: a tensor of unknown origin is named by where it is met first."""
        self._opaque: dict[str, int] = {}
        self._state = state
        self._hidden = hidden
        self._calls = calls
        self._clock = 0
        self._writes: dict[int, list[_Write]] = {}
        # A global, what NumPy made: not kept alive, and its id may be taken by another one day.
        self._foreign: dict[int, tuple[weakref.ref[torch.Tensor], _Mark]] = {}
        self._recording = object()

    def of(self, tensor: torch.Tensor) -> Ref:
        """The call, input, parameter or buffer that made a tensor's present value."""
        mark = getattr(tensor, "_archcheck_source", None)
        if mark is None or mark.recording is not self._recording:
            mark = self._foreign_mark(tensor) or self._first_sight(tensor)
        if self._writes:
            memory = mark.memory
            if memory is None:
                memory = mark.memory = _memory(tensor)
            for written in reversed(self._writes.get(memory, ())):
                if written.clock <= mark.clock:
                    break
                if overlap(written.extent, extent_of(tensor)):
                    return self._as_written(tensor, written)
        return cast(Ref, mark.ref)

    def mark(self, tensor: torch.Tensor, ref: Ref) -> None:
        """Say who made a tensor."""
        mark = _Mark(self._clock, ref, self._recording)
        if self._foreign and self._foreign_mark(tensor) is not None:
            self._foreign[id(tensor)] = (weakref.ref(tensor), mark)
        else:
            tensor._archcheck_source = mark  # type: ignore[attr-defined]

    def use(self, state: tuple[StateTensor, ...]) -> None:
        """Take tensors into the record that belong to it only where they are used."""
        for tensor in state:
            self.others.setdefault(f"{tensor.kind}:{tensor.name}", tensor)

    def mark_results(
        self, call_id: str, slot: int, result: Any, operands: Operands
    ) -> tuple[Any, tuple[TensorSpec, ...]]:
        """Make a call the source of what it returned and of what it wrote in place.

        A result that is an operand handed back unchanged comes back as an alias, so that the operand
        keeps its own source. Gives the result to go on with and the specs of the tensors in it.
        """
        self._clock += 1
        written = [tensor for tensor, version in operands if version_of(tensor) != version]
        for tensor in written:
            write = _Write(self._clock, Ref(call_id), slot, extent_of(tensor))
            self._writes.setdefault(_memory(tensor), []).append(write)
        leaves = tensors_in(result)
        kept = {id(operand) for operand, _ in operands} - {id(target) for target in written}
        handed_back = {id(tensor): _alias(tensor) for tensor in leaves if id(tensor) in kept}
        if handed_back:
            result = _replace(result, handed_back)
            leaves = tensors_in(result)
        for index, tensor in enumerate(leaves):
            self.mark(tensor, Ref(call_id, index))
        return result, tuple([spec_of(tensor) for tensor in leaves or written[:1]])

    def _first_sight(self, tensor: torch.Tensor) -> _Mark:
        """Name a tensor that no recorded call made."""
        own = self._state.get(id(tensor))
        if own is None:
            own = self._hidden.get(id(tensor))
            if own is not None:
                self.use((own,))
        if own is not None:
            mark = _Mark(0, Ref(f"{own.kind}:{own.name}"), self._recording)
            tensor._archcheck_source = mark  # type: ignore[attr-defined]
            return mark
        scope = self.scope or "."
        number = self._opaque[scope] = self._opaque.get(scope, 0) + 1
        name = scope if number == 1 else f"{scope}#{number}"
        self.use((StateTensor(name, "opaque", spec_of(tensor), saved=False),))
        # what was written before belongs to others: memory that was given back has the same address
        mark = _Mark(self._clock, Ref(f"opaque:{name}"), self._recording)
        self._foreign[id(tensor)] = (weakref.ref(tensor), mark)
        return mark

    def _foreign_mark(self, tensor: torch.Tensor) -> _Mark | None:
        known = self._foreign.get(id(tensor))
        return known[1] if known is not None and known[0]() is tensor else None

    def _as_written(self, tensor: torch.Tensor, written: _Write) -> Ref:
        """The writer's output of this tensor's shape: a view's writer also made the base, in its shape."""
        call = self._calls[written.slot]
        assert call is not None
        spec = spec_of(tensor)
        if spec not in call.outputs:
            call = self._calls[written.slot] = replace(call, outputs=(*call.outputs, spec))
        return Ref(written.ref.name, call.outputs.index(spec))


def _memory(tensor: torch.Tensor) -> int:
    memory = memory_of(tensor)
    return id(tensor) if memory is None else memory


def _alias(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.view_as(tensor) if tensor.requires_grad else tensor.detach()


def _replace(value: Any, twins: dict[int, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return twins.get(id(value), value)
    if isinstance(value, tuple) and hasattr(value, "_make"):
        return value._make(_replace(item, twins) for item in value)
    if type(value) in (tuple, list):
        return type(value)(_replace(item, twins) for item in value)
    if type(value) is dict:
        return {key: _replace(item, twins) for key, item in value.items()}
    return value
