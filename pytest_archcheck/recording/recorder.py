"""Write down what a clone does in one forward: module hooks for layer calls, a function mode for ops.

Requirements this module meets:

* every layer call and every function called outside atomic modules is recorded, in order, with its operands;
* nothing inside an atomic module is recorded;
* an error that the model itself catches leaves the record right.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Set
from contextlib import AbstractContextManager
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.functions import canonical_arguments, canonical_name
from pytest_archcheck.recording.memo import ShapeMemo
from pytest_archcheck.recording.owners import Owner, owners_of, state_of
from pytest_archcheck.recording.sources import Operands, Sources
from pytest_archcheck.recording.values import record_value, spec_of, tensor_leaves
from pytest_archcheck.records import (
    Call,
    LayerCall,
    Op,
    Ref,
    StateTensor,
    TensorSpec,
)

# With a device of its own (meta) these would otherwise make a tensor on the default one.
_CREATORS = frozenset(
    "arange empty empty_strided eye full linspace logspace ones rand randint randn randperm tensor "
    "zeros scalar_tensor tril_indices triu_indices hann_window as_tensor asarray".split()
)
# Functions that set something about a tensor and make none.
_SETTERS = frozenset(("requires_grad_", "retain_grad", "register_hook", "share_memory_", "__set__"))


class Frame:
    """One module call that has begun."""

    __slots__ = ("args", "atomic", "inputs", "kwargs", "number", "operands", "owner", "slot")

    def __init__(self, owner: Owner, number: int, slot: int) -> None:
        self.owner = owner
        self.atomic = owner.atomic
        self.number = number
        self.slot = slot
        self.args: Any = ()
        self.kwargs: Any = {}
        self.inputs: tuple[TensorSpec, ...] = ()
        self.operands: Operands = []


class Recorder(TorchFunctionMode):
    """Records one forward of one clone; use it once, as a context manager around the forward.

    Args:
        clone: the module that will be called; hooks are added to it.
        device: where its tensors are.
        kept: ids of the tensors that the clone holds outside its parameters and buffers.
    """

    def __init__(self, clone: nn.Module, device: str, kept: Set[int] = frozenset()) -> None:
        super().__init__()
        self.clone = clone
        self.device = torch.device(device)
        self.calls: list[Call | None] = []
        self.frames: list[Frame] = []
        self.given = 0
        """How many tensors the forward is called with."""
        self.failure: tuple[BaseException, Frame] | None = None
        self.state, references = state_of(clone)
        self.modules, self._owners = owners_of(clone, self.state)
        self.sources = Sources(references, kept, self.calls)
        self._numbers: dict[str, int] = {}
        self._is_meta = self.device.type == "meta"
        self._run = ShapeMemo().call if self._is_meta else _call
        self._device_name = None if self.device.type == "cpu" else str(self.device)
        for module, owner in self._owners.items():
            module.register_forward_pre_hook(self._enter(owner), with_kwargs=True)
            module.register_forward_hook(self._leave(owner), prepend=True, with_kwargs=True, always_call=True)

    @property
    def all_state(self) -> tuple[StateTensor, ...]:
        """Parameters and buffers, then the other tensors that the forward used."""
        return (*self.state, *self.sources.others)

    def mark_inputs(self, leaves: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Name the model's input tensors: the leaf at path ``x`` is ``in:x``."""
        for path, tensor in leaves:
            self.given += 1
            self.sources.mark(tensor, Ref(f"in:{path}"))

    # -- layer calls -------------------------------------------------------------------------------

    def _enter(self, owner: Owner) -> Callable[..., None]:
        def before(module: nn.Module, args: Any, kwargs: Any) -> None:
            with _plain_torch():
                if self._is_meta:
                    _refuse_autocast()
                owner.calls += 1
                frame = Frame(owner, owner.calls, len(self.calls))
                if self.frames and self.frames[-1].atomic:
                    frame.atomic = True
                    frame.slot = -1  # inside an atomic module
                else:
                    self.calls.append(None)
                    tensors = [tensor for _, tensor in tensor_leaves((args, kwargs))]
                    frame.args = record_value(args, self.sources.of)
                    frame.kwargs = record_value(kwargs, self.sources.of)
                    frame.inputs = tuple(spec_of(tensor) for tensor in tensors)
                    if frame.atomic:
                        frame.operands = [(tensor, tensor._version) for tensor in tensors]
                self.frames.append(frame)

        return before

    def _leave(self, owner: Owner) -> Callable[..., Any]:
        def after(module: nn.Module, args: Any, kwargs: Any, output: Any) -> Any:
            with _plain_torch():
                error = sys.exc_info()[1]
                if not self.frames or self.frames[-1].owner is not owner:
                    frame = Frame(owner, owner.calls, -1)  # a pre-hook of the user's raised
                else:
                    frame = self.frames.pop()
                if output is None and error is not None:  # it raised; the model may catch that
                    if self.failure is None or self.failure[0] is not error:
                        self.failure = (error, frame)
                    return None
                if frame.slot < 0:
                    return None
                name = owner.module.name or "."
                call_id = name if frame.number == 1 else f"{name}#{frame.number}"
                sources = None
                result = output
                if frame.atomic:
                    result, outputs = self.sources.mark_results(call_id, frame.slot, output, frame.operands)
                else:
                    leaves = [tensor for _, tensor in tensor_leaves(output)]
                    outputs = tuple(spec_of(tensor) for tensor in leaves)
                    sources = tuple(self.sources.of(tensor) for tensor in leaves)
                self.calls[frame.slot] = LayerCall(
                    owner.module,
                    frame.number,
                    frame.args,
                    frame.kwargs,
                    frame.inputs,
                    outputs,
                    sources,
                    owner.state,
                )
                return None if result is output else result

        return after

    # -- ops ---------------------------------------------------------------------------------------

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        raw_name = getattr(func, "__name__", "")
        if self._device_name and raw_name in _CREATORS and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": self._device_name}
        if self._is_meta:
            _refuse_autocast()
        if not self.frames or self.frames[-1].atomic or raw_name in _SETTERS:
            return self._run(func, args, kwargs)
        operands = [(tensor, tensor._version) for _, tensor in tensor_leaves((args, kwargs))]
        sources = {id(tensor): self.sources.of(tensor) for tensor, _ in operands}
        result = self._run(func, args, kwargs)
        makes = next(tensor_leaves(result), None) is not None
        if not makes and all(tensor._version == version for tensor, version in operands):
            return result
        if isinstance(result, nn.Parameter) and any(result is tensor for tensor, _ in operands):
            return result  # a conversion of a parameter to what it is already
        return self._record_op(func, args, kwargs, result, operands, sources)

    def _record_op(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        operands: Operands,
        sources: dict[int, Ref],
    ) -> Any:
        function, exchanged = canonical_name(func)
        if exchanged and len(args) == 2:
            args = (args[1], args[0])
        args, kwargs = canonical_arguments(function, args, kwargs)
        scope = self.frames[-1].owner.module.name
        name = f"{scope}:{function}"
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        call_id = name if number == 1 else f"{name}#{number}"
        inputs: list[TensorSpec] = []

        def ref_of(tensor: torch.Tensor) -> Ref:
            inputs.append(spec_of(tensor))
            return sources[id(tensor)]

        recorded = record_value(args, ref_of)
        named = record_value(kwargs, ref_of)
        result, outputs = self.sources.mark_results(call_id, len(self.calls), result, operands)
        self.calls.append(
            Op(
                scope,
                function,
                number,
                cast(tuple[Any, ...], recorded),
                cast(dict[str, Any], named),
                tuple(inputs),
                outputs,
            )
        )
        return result


def _call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*args, **kwargs)


def _refuse_autocast() -> None:
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        raise RecordingError("autocast does not reach tensors on meta; record on a real device")


def _plain_torch() -> AbstractContextManager[None]:
    return torch._C.DisableTorchFunction()
