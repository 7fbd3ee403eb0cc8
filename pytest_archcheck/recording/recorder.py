"""Write down what a clone does in one forward: ``layers`` the layer calls, a function mode the ops.

Every function that is called outside atomic modules is recorded, in order, with its operands.
"""

from __future__ import annotations

import re
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

import torch
from torch import nn
from torch.overrides import TorchFunctionMode

from pytest_archcheck.recording.clone import Found
from pytest_archcheck.recording.devices import placed
from pytest_archcheck.recording.functions import canonical_arguments, canonical_name
from pytest_archcheck.recording.layers import Failure, Layers, refuse_autocast
from pytest_archcheck.recording.memo import ShapeMemo
from pytest_archcheck.recording.owners import Inventory
from pytest_archcheck.recording.placements import Placement
from pytest_archcheck.recording.sources import Operands, Sources
from pytest_archcheck.recording.twins import UNKNOWN_VERSION, version_of
from pytest_archcheck.recording.values import is_transformed, record_value, spec_of, tensors_in
from pytest_archcheck.records import (
    Call,
    Module,
    Op,
    Ref,
    StateTensor,
    TensorSpec,
)

# Functions that set something about a tensor and make none.
_SETTERS = frozenset(("requires_grad_", "retain_grad", "register_hook", "share_memory_"))
# Methods that ask and make no tensor; a sixth of what a Swin calls.
_QUERIES = frozenset(("size", "dim", "numel", "stride", "is_floating_point", "is_contiguous"))
_KERNELS = ("torch._refs", "torch._meta_registrations", "torch._prims", "torch._decomp")
_IN_PLACE = re.compile(r"[a-z]\w*_|__i\w+__|__setitem__")


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
        self.given = 0
        """How many tensors the forward is called with."""
        self.inventory = Inventory(clone, found)
        self.sources = Sources(self.inventory.tensors, self.inventory.hidden, self.calls)
        self._numbers: dict[str, int] = {}
        self._is_meta = self.device.type == "meta"
        self.layers = Layers(self.inventory, self.sources, self.calls, self._is_meta)
        self._run = ShapeMemo().call if self._is_meta else _call

    def __enter__(self) -> Recorder:
        self.layers.watch()
        _active.stack.append(self)
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        _active.stack.pop()
        self.layers.unwatch()

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

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if _active.stack[-1] is not self:  # the forward records another model
            return func(*args, **kwargs)
        raw_name = getattr(func, "__name__", "")
        if raw_name in _QUERIES:
            return func(*args, **kwargs)
        func, args, kwargs = placed(func, raw_name, args, kwargs, self.device)
        if self._is_meta:
            refuse_autocast()
        if self.layers.in_atomic or raw_name in _SETTERS or _is_unseen(func):
            return self._run(func, args, kwargs)
        if raw_name == "empty" and sys._getframe(1).f_globals.get("__name__") == "torch.utils.checkpoint":
            return self._run(func, args, kwargs)  # a dummy of some versions of torch
        operands = [(tensor, version_of(tensor)) for tensor in tensors_in((args, kwargs))]
        if operands and operands[0][1] == UNKNOWN_VERSION and _IN_PLACE.fullmatch(raw_name):
            operands[0] = (operands[0][0], UNKNOWN_VERSION - 1)
        try:
            result = self._run(func, args, kwargs)
        except Exception as error:
            operand_specs = tuple(spec_of(tensor) for tensor, _ in operands)
            self.layers.failure = Failure(error, None, canonical_name(func)[0], operand_specs)
            raise
        if raw_name == "__set__":
            if func.__self__.__name__ == "data":  # the tensor is another one now
                self.sources.mark(args[0], self.sources.of(args[1]))
            return result
        if (
            not tensors_in(result)
            and raw_name != "backward"
            and all(version_of(tensor) == version for tensor, version in operands)
        ):
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
        scope = self.sources.scope
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
    has no known source, which makes the count partial. On meta a scripted function is seen by the Python kernels
    that it runs on, and by them alone.
    """
    if is_transformed() or getattr(func, "__module__", None) == "torch._ops.prims":
        return True
    caller: str = sys._getframe(2).f_globals.get("__name__", "")
    return caller.startswith(_KERNELS)


def _call(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    return func(*args, **kwargs)
