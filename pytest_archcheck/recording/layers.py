"""Watch the forwards of a clone's modules: each call of one is a layer call, however it is called.

Requirements this module meets:

* nothing inside an atomic module is recorded;
* an error that the model itself catches leaves the record right;
* what another thread runs is not recorded.
"""

from __future__ import annotations

import copy
import inspect
import threading
import types
from typing import Any, NamedTuple

import torch
from torch import nn

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.owners import Inventory, Owner
from pytest_archcheck.recording.repeats import Effect, LayerMemo
from pytest_archcheck.recording.sources import Operands, Sources
from pytest_archcheck.recording.twins import version_of
from pytest_archcheck.recording.values import is_transformed, record_value, spec_of, tensors_in
from pytest_archcheck.records import Call, LayerCall, TensorSpec


class Failure(NamedTuple):
    """What raised: the innermost layer call, and the function in it with its operands where it was one."""

    error: BaseException
    frame: Frame | None
    function: str = ""
    operands: tuple[TensorSpec, ...] = ()


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


class WatchedForward:
    """Stands in for a module's forward on the instance, and looks like it to who inspects it."""

    def __init__(self, layers: Layers, module: nn.Module, owner: Owner, forward: Any) -> None:
        self._layers = layers
        self._module = module
        self._owner = owner
        self.__wrapped__ = forward

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Run the forward as a layer call."""
        return self._layers.call(self._module, self._owner, self.__wrapped__, args, kwargs)

    @property
    def __signature__(self) -> inspect.Signature:
        """The forward's own, for who inspects it."""
        return inspect.signature(self.__wrapped__)

    def __getattr__(self, name: str) -> Any:
        if name == "__wrapped__":  # while it is being copied
            raise AttributeError(name)
        return getattr(self.__wrapped__, name)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """The forward of a copied module, which is another module: recorded by the functions that it calls."""
        copied = memo.get(id(self._module))
        if copied is None or getattr(self.__wrapped__, "__self__", None) is not self._module:
            return copy.deepcopy(self.__wrapped__, memo)
        return types.MethodType(self.__wrapped__.__func__, copied)


class Layers:
    """The layer calls of one forward.

    Args:
        inventory: the clone's modules.
        sources: who made each tensor.
        calls: all calls of the recording, to which these are added in order of their beginning.
        is_meta: whether the recording is on meta, where autocast does nothing and is refused.
    """

    def __init__(
        self, inventory: Inventory, sources: Sources, calls: list[Call | None], is_meta: bool
    ) -> None:
        self._frames: list[Frame] = []
        """The calls that have begun, the innermost last."""
        self.failure: Failure | None = None
        self._inventory = inventory
        self._sources = sources
        self._calls = calls
        self._is_meta = is_meta
        self._memo = LayerMemo() if is_meta else None
        self._replaced: list[tuple[nn.Module, Any]] = []
        self._thread = threading.get_ident()

    @property
    def in_atomic(self) -> bool:
        """Whether an atomic module is running."""
        return bool(self._frames) and self._frames[-1].atomic

    def watch(self) -> None:
        """Put watched forwards in place."""
        for module, owner in self._inventory.owners.items():
            self._watch(module, owner)

    def unwatch(self) -> None:
        """Take them away: what is watched refers to itself, and would live on for a while."""
        for module, own in self._replaced:
            if own is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = own

    def _watch(self, module: nn.Module, owner: Owner) -> None:
        """Put a forward in place that is recorded also where it is called directly, past the hooks."""
        own = module.__dict__.get("forward")
        forward: Any = module.forward
        if getattr(forward, "__func__", None) is nn.Module.forward:
            return  # a container that cannot be called

        module.__dict__["forward"] = WatchedForward(self, module, owner, forward)
        self._replaced.append((module, own))

    def call(self, module: nn.Module, owner: Owner, forward: Any, args: Any, kwargs: Any) -> Any:
        """Run a forward as a layer call."""
        if threading.get_ident() != self._thread:
            return forward(*args, **kwargs)
        key = None
        if self._memo is not None and owner.repeats and len(args) == 1 and not kwargs and not self.in_atomic:
            with torch._C.DisableTorchFunction():
                key = self._memo.key(module, args[0])
                effect = None if key is None else self._memo.effect(key)
                if effect is not None:
                    return self._repeat(owner, effect, args[0])
        frame = self._enter(owner, args, kwargs)
        try:
            if (
                type(forward) is types.MethodType
            ):  # Python 3.12 counts frames of C, and a method's call is one
                output = forward.__func__(forward.__self__, *args, **kwargs)
            else:
                output = forward(*args, **kwargs)
        except BaseException as error:
            self._fail(frame, error)
            raise
        if key is not None and self._memo is not None:
            with torch._C.DisableTorchFunction():
                self._memo.learn(key, module, frame.operands, output)
        return self._leave(frame, output)

    def _repeat(self, owner: Owner, effect: Effect, x: torch.Tensor) -> Any:
        """Do what the layer is known to do with its input, without running it."""
        refuse_autocast()
        owner.calls += 1
        ref = self._sources.of(x)
        call_id = owner.call_id(owner.calls)
        version = version_of(x)
        y = x.zero_() if effect.writes else x if effect.made is None else effect.made.make()
        y, outputs = self._sources.mark_results(call_id, len(self._calls), y, [(x, version)])
        self._calls.append(
            LayerCall(owner.module, owner.calls, (ref,), {}, effect.inputs, outputs, None, owner.state)
        )
        return y

    def _enter(self, owner: Owner, args: Any, kwargs: Any) -> Frame:
        with torch._C.DisableTorchFunction():
            if self._is_meta:
                refuse_autocast()
            if len(kwargs) > 1:
                kwargs = {**{key: kwargs[key] for key in owner.keywords if key in kwargs}, **kwargs}
            owner.calls += 1
            frame = Frame(owner, owner.calls, len(self._calls))
            if self.in_atomic or is_transformed():
                frame.atomic = True
                frame.slot = -1  # inside an atomic module
            else:
                self._calls.append(None)
                if owner.hidden:
                    self._sources.use(owner.state)
                tensors = tensors_in((args, kwargs))
                frame.args = record_value(args, self._sources.of)
                frame.kwargs = record_value(kwargs, self._sources.of)
                frame.inputs = tuple([spec_of(tensor) for tensor in tensors])
                if frame.atomic:
                    frame.operands = [(tensor, version_of(tensor)) for tensor in tensors]
            self._frames.append(frame)
            self._sources.scope = owner.module.name
        return frame

    def _fail(self, frame: Frame, error: BaseException) -> None:
        """A forward raised; the model may catch that."""
        if self.failure is None or self.failure.error is not error:
            self.failure = Failure(error, frame)
        elif self.failure.frame is None:
            self.failure = self.failure._replace(frame=frame)
        self._pop()

    def _pop(self) -> None:
        self._frames.pop()
        self._sources.scope = self._frames[-1].owner.module.name if self._frames else ""

    def _leave(self, frame: Frame, output: Any) -> Any:
        try:
            return self._left(frame, output)
        finally:
            self._pop()

    def _left(self, frame: Frame, output: Any) -> Any:
        if frame.slot < 0:
            return output
        with torch._C.DisableTorchFunction():
            owner = frame.owner
            call_id = owner.call_id(frame.number)
            sources = None
            if frame.atomic:
                output, outputs = self._sources.mark_results(call_id, frame.slot, output, frame.operands)
            else:
                leaves = tensors_in(output)
                outputs = tuple([spec_of(tensor) for tensor in leaves])
                sources = tuple([self._sources.of(tensor) for tensor in leaves])
            self._calls[frame.slot] = LayerCall(
                owner.module,
                frame.number,
                frame.args,
                frame.kwargs,
                frame.inputs,
                outputs,
                sources,
                owner.state,
            )
        return output


def refuse_autocast() -> None:
    """Raise where autocast is on, for a recording on meta."""
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        raise RecordingError(
            'autocast does not reach tensors on meta; record on cpu or CUDA, as with device="cpu"',
            see="inputs",
        )
