"""Where a forward is recorded: the ladder of placements, and what is kept as it was around it."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from pytest_archcheck.collector import collector_off
from pytest_archcheck.devices import check_name
from pytest_archcheck.errors import UsageError
from pytest_archcheck.recording.tree import nesting

_FRAMES = 16
"""Python frames for one level of nested modules, in the clone or in the forward, with room to spare."""

LADDER = ("cuda", "meta", "cpu", "fake")
"""What ``auto`` tries, in this order: CUDA where there is one, fake only for a model without values."""


@dataclass(frozen=True)
class Placement:
    """One rung: its name, the device of its tensors and, for ``fake``, the mode that makes them."""

    name: str
    device: torch.device
    fake_mode: Any = None

    @property
    def has_values(self) -> bool:
        """Whether tensors hold data here."""
        return self.device.type != "meta" and self.fake_mode is None

    def active(self) -> AbstractContextManager[Any]:
        """The context in which tensors are made here."""
        return nullcontext() if self.fake_mode is None else self.fake_mode


def placements(name: str) -> tuple[str, ...]:
    """The placements to try, in order.

    Raises:
        UsageError: an unknown name, or CUDA where there is none.
    """
    if check_name(name) == "auto":
        return LADDER if torch.cuda.is_available() else LADDER[1:]
    if name in ("meta", "cpu", "fake"):
        return (name,)
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if int(name[5:] or 0) >= count:
        raise UsageError(
            f"device={name!r}: this machine has {count or 'no'} CUDA device{'s' * (count != 1)}; use auto",
            see="arch-device",
        )
    return (name,)


def with_values(device: str) -> str:
    """The first placement of a device's ladder that has values."""
    return next((name for name in placements(device) if name not in ("meta", "fake")), "cpu")


def placement(name: str) -> Placement:
    """The placement of a name that ``placements`` gave."""
    if name == "fake":
        from torch._subclasses.fake_tensor import FakeTensorMode

        mode = FakeTensorMode(allow_non_fake_inputs=True)
        return Placement(name, torch.device("cpu"), mode)
    if name == "cuda":
        return Placement(name, torch.device("cuda", torch.cuda.current_device()))
    return Placement(name, torch.device(name))


_one_at_a_time = threading.RLock()
"""What ``undisturbed`` changes belongs to the whole process, so recordings in threads wait for each other."""


@contextmanager
def undisturbed(place: Placement, model: nn.Module, compiler: bool = False) -> Iterator[None]:
    """Keep the process as it was around a recording of a model, whatever happens in it.

    Random states are put back; autograd, the Transformer fast path (which skips layers) and a default device
    of the user's are off, and so is ``torch.compile`` unless ``compiler`` is wanted. Without values the garbage
    collector waits too.
    """
    with ExitStack() as stack:
        stack.enter_context(_one_at_a_time)
        stack.enter_context(random_state_kept(place.device))
        stack.callback(torch.set_default_dtype, torch.get_default_dtype())
        stack.enter_context(_fast_path_off())
        if not compiler:
            stack.enter_context(_compiler_off())
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.no_grad())
        stack.enter_context(_recursion_for(nesting(model)))
        if torch.empty(0).device.type != "cpu":  # a default of the user's own
            stack.enter_context(torch.device("cpu"))
        if not place.has_values:
            stack.enter_context(collector_off())
        yield


def default_dtype() -> str:
    """The dtype that a factory gives its tensors where it states none: the user's to set."""
    return str(torch.get_default_dtype())


@contextmanager
def random_state_kept(device: torch.device | None = None) -> Iterator[None]:
    """Seed Python, NumPy and torch, and put their random states back afterwards."""
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    cuda = [device.index] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=cuda):
        torch.default_generator.manual_seed(0)
        if cuda:
            torch.cuda.manual_seed_all(0)
        random.seed(0)
        if numpy:
            numpy.random.seed(0)
        try:
            yield
        finally:
            random.setstate(python_state)
            if numpy:
                numpy.random.set_state(numpy_state)


@contextmanager
def _recursion_for(levels: int) -> Iterator[None]:
    """Room for the forward of modules nested so deep: a recording takes more frames for each than a bare call."""
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(limit + _FRAMES * levels)
    try:
        yield
    finally:
        sys.setrecursionlimit(limit)


@contextmanager
def _fast_path_off() -> Iterator[None]:
    was_on = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(was_on)


@contextmanager
def _compiler_off() -> Iterator[None]:
    """Run functions under ``torch.compile`` as they are written."""
    if "torch._dynamo" not in sys.modules:  # nothing is compiled
        yield
        return
    if hasattr(torch.compiler, "set_stance"):
        with torch.compiler.set_stance("force_eager"):
            yield
        return
    eval_frame: Any = sys.modules["torch._dynamo.eval_frame"]  # before torch 2.6
    before = eval_frame.set_eval_frame
    eval_frame.set_eval_frame = lambda callback: before(None)
    try:
        yield
    finally:
        eval_frame.set_eval_frame = before
