"""Write down what a clone does in one forward: watched forwards for layer calls, a function mode for ops.

Requirements this module meets:

* every layer call and every function called outside atomic modules is recorded, in order, with its operands;
* nothing inside an atomic module is recorded;
* an error that the model itself catches leaves the record right.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any, NamedTuple, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.clone import Found
from pytest_archcheck.recording.devices import placed
from pytest_archcheck.recording.functions import canonical_arguments, canonical_name
from pytest_archcheck.recording.memo import ShapeMemo
from pytest_archcheck.recording.owners import Inventory, Owner
from pytest_archcheck.recording.placements import Placement
from pytest_archcheck.recording.sources import Operands, Sources
from pytest_archcheck.recording.twins import UNKNOWN_VERSION, version_of
from pytest_archcheck.recording.values import record_value, spec_of, tensor_leaves
from pytest_archcheck.records import (
    Call,
    LayerCall,
    Module,
    Op,
    Ref,
    StateTensor,
    TensorSpec,
)

# Functions that set something about a tensor and make none.
_SETTERS = frozenset(("requires_grad_", "retain_grad", "register_hook", "share_memory_"))
_IN_PLACE = re.compile(r"[a-z]\w*_|__i\w+__|__setitem__")


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


class Recorder(TorchFunctionMode):
    """Records one forward of one clone; use it once, as a context manager around the forward.

    Args:
        clone: the module that will be called; its modules' forwards are watched.
        place: where its tensors are.
        found: what its modules hold outside their registries.
    """

    def __init__(self, clone: nn.Module, place: Placement, found: Iterable[Found] = ()) -> None:
        super().__init__()
        self.clone = clone
        self.device = place.device
        self.calls: list[Call | None] = []
        self.frames: list[Frame] = []
        self.given = 0
        """How many tensors the forward is called with."""
        self.failure: Failure | None = None
        self.inventory = Inventory(clone, found)
        self.sources = Sources(self.inventory.refs, self.inventory.hidden, self.calls)
        self._numbers: dict[str, int] = {}
        self._is_meta = self.device.type == "meta"
        self._run = ShapeMemo().call if self._is_meta else _call
        self._replaced: list[tuple[nn.Module, Any]] = []
        self._thread = threading.get_ident()

    def __enter__(self) -> Recorder:
        for module, owner in self.inventory.owners.items():
            self._watch(module, owner)
        _active.stack.append(self)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        _active.stack.pop()
        for module, own in self._replaced:  # what is watched refers to itself, and would live on for a while
            if own is None:
                del module.__dict__["forward"]
            else:
                module.__dict__["forward"] = own

    @property
    def modules(self) -> tuple[Module, ...]:
        """The registered modules, then the hidden ones that were called."""
        return (*self.inventory.modules, *self.inventory.called_hidden)

    @property
    def all_state(self) -> tuple[StateTensor, ...]:
        """Parameters and buffers, then the other tensors that the forward used."""
        return (*self.inventory.state, *self.sources.others.values())

    def mark_inputs(self, leaves: Iterable[tuple[str, torch.Tensor]]) -> None:
        """Name the model's input tensors: the leaf at path ``x`` is ``in:x``."""
        for path, tensor in leaves:
            self.given += 1
            self.sources.mark(tensor, Ref(f"in:{path}"))

    # -- layer calls -------------------------------------------------------------------------------

    def _watch(self, module: nn.Module, owner: Owner) -> None:
        """Put a forward in place that is recorded also where it is called directly, past the hooks."""
        own = module.__dict__.get("forward")
        forward: Any = module.forward
        if getattr(forward, "__func__", None) is nn.Module.forward:
            return  # a container that cannot be called

        def watched(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return forward(*args, **kwargs)
            frame = self._enter(owner, args, kwargs)
            try:
                output = forward(*args, **kwargs)
            except BaseException as error:
                self._fail(frame, error)
                raise
            return self._leave(frame, output)

        watched.__wrapped__ = forward  # type: ignore[attr-defined]
        module.__dict__["forward"] = watched
        self._replaced.append((module, own))

    def _enter(self, owner: Owner, args: Any, kwargs: Any) -> Frame:
        with _plain_torch():
            if self._is_meta:
                _refuse_autocast()
            owner.calls += 1
            frame = Frame(owner, owner.calls, len(self.calls))
            if (self.frames and self.frames[-1].atomic) or _is_transformed():
                frame.atomic = True
                frame.slot = -1  # inside an atomic module
            else:
                self.calls.append(None)
                if owner.hidden:
                    self.sources.use(owner.state)
                tensors = [tensor for _, tensor in tensor_leaves((args, kwargs))]
                frame.args = record_value(args, self.sources.of)
                frame.kwargs = record_value(kwargs, self.sources.of)
                frame.inputs = tuple(spec_of(tensor) for tensor in tensors)
                if frame.atomic:
                    frame.operands = [(tensor, version_of(tensor)) for tensor in tensors]
            self.frames.append(frame)
        return frame

    def _fail(self, frame: Frame, error: BaseException) -> None:
        """A forward raised; the model may catch that."""
        if self.failure is None or self.failure.error is not error:
            self.failure = Failure(error, frame)
        elif self.failure.frame is None:
            self.failure = self.failure._replace(frame=frame)
        while self.frames.pop() is not frame:
            pass

    def _leave(self, frame: Frame, output: Any) -> Any:
        self.frames.pop()
        if frame.slot < 0:
            return output
        with _plain_torch():
            owner = frame.owner
            name = owner.module.name or "."
            call_id = name if frame.number == 1 else f"{name}#{frame.number}"
            sources = None
            if frame.atomic:
                output, outputs = self.sources.mark_results(call_id, frame.slot, output, frame.operands)
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
        return output

    # -- ops ---------------------------------------------------------------------------------------

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if _active.stack[-1] is not self:  # the forward records another model
            return func(*args, **kwargs)
        raw_name = getattr(func, "__name__", "")
        func, args, kwargs = placed(func, raw_name, args, kwargs, self.device)
        if self._is_meta:
            _refuse_autocast()
        if (self.frames and self.frames[-1].atomic) or raw_name in _SETTERS or _is_unseen(func):
            return self._run(func, args, kwargs)
        if raw_name == "empty" and sys._getframe(1).f_globals.get("__name__") == "torch.utils.checkpoint":
            return self._run(func, args, kwargs)  # a dummy of some versions of torch
        operands = [(tensor, version_of(tensor)) for _, tensor in tensor_leaves((args, kwargs))]
        if operands and operands[0][1] == UNKNOWN_VERSION and _IN_PLACE.fullmatch(raw_name):
            operands[0] = (operands[0][0], UNKNOWN_VERSION - 1)
        try:
            result = self._run(func, args, kwargs)
        except Exception as error:
            operand_specs = tuple(spec_of(tensor) for tensor, _ in operands)
            self.failure = Failure(error, None, canonical_name(func)[0], operand_specs)
            raise
        if raw_name == "__set__":
            if func.__self__.__name__ == "data":  # the tensor is another one now
                self.sources.mark(args[0], self.sources.of(args[1]))
            return result
        makes = next(tensor_leaves(result), None) is not None
        if not makes and all(version_of(tensor) == version for tensor, version in operands):
            return result
        if isinstance(result, nn.Parameter) and (id(result), version_of(result)) in (
            (id(tensor), version) for tensor, version in operands
        ):
            return result  # a conversion of a parameter to what it is already
        return self._record_op(func, args, kwargs, result, operands)

    def _record_op(
        self,
        func: Any,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        result: Any,
        operands: Operands,
    ) -> Any:
        function, exchanged = canonical_name(func)
        if exchanged and len(args) == 2:
            args = (args[1], args[0])
        args, kwargs = canonical_arguments(function, args, kwargs)
        scope = self.frames[-1].owner.module.name if self.frames else ""  # a hook of the root
        name = f"{scope}:{function}"
        number = self._numbers[name] = self._numbers.get(name, 0) + 1
        call_id = name if number == 1 else f"{name}#{number}"
        inputs: list[TensorSpec] = []

        def ref_of(tensor: torch.Tensor) -> Ref:
            inputs.append(spec_of(tensor))
            return self.sources.of(tensor)  # a write of this call is not marked yet

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


class _Active(threading.local):
    """What this thread records: the innermost recorder last, ``None`` while a recording is set up."""

    def __init__(self) -> None:
        self.stack: list[Recorder | None] = []


_active = _Active()


@contextmanager
def unrecorded() -> Iterator[None]:
    """Whatever runs here belongs to no recording that is going on in this thread."""
    _active.stack.append(None)
    try:
        yield
    finally:
        _active.stack.pop()


def _is_unseen(func: Callable[..., Any]) -> bool:
    """Whether a call is no public one: inside a kernel written in Python, or inside vmap and its like.

    A transform's tensors have another shape than they show, so what is in it would be counted wrongly; its result
    has no known source, which makes the count partial.
    """
    return _is_transformed() or getattr(func, "__module__", None) == "torch._ops.prims"


def _is_transformed() -> bool:
    return torch._C._functorch.peek_interpreter_stack() is not None


def _call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*args, **kwargs)


def _refuse_autocast() -> None:
    if torch.is_autocast_enabled("cpu") or torch.is_autocast_enabled("cuda"):
        raise RecordingError("autocast does not reach tensors on meta; record on a real device")


def _plain_torch() -> AbstractContextManager[None]:
    return torch._C.DisableTorchFunction()
