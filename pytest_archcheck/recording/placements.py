"""Where a forward is recorded: the ladder of devices, and what is kept as it was around it."""

from __future__ import annotations

import gc
import random
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import torch

from pytest_archcheck.errors import UsageError

DEVICES = "auto, meta, cpu, cuda or cuda:0"


def ladder(device: str) -> tuple[str, ...]:
    """The devices to try, in order.

    ``auto`` is CUDA where there is one, else meta, then cpu for models that need values.

    Raises:
        UsageError: an unknown device, or CUDA where there is none.
    """
    if device == "auto":
        return ("cuda", "meta", "cpu") if torch.cuda.is_available() else ("meta", "cpu")
    if device in ("meta", "cpu"):
        return (device,)
    if device == "cuda" or (device.startswith("cuda:") and device[5:].isdigit()):
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(device[5:] or 0) >= count:
            raise UsageError(f"device={device!r}: this machine has {count} CUDA device(s); use auto")
        return (device,)
    raise UsageError(f"device={device!r} is none of {DEVICES}")


@contextmanager
def undisturbed(device: str) -> Iterator[None]:
    """Keep the random state as it was; autograd off, and the Transformer fast path, which skips hooks.

    On meta the garbage collector waits too: a recording makes many small objects and no garbage, and a
    collection in its middle walks all of torch (it took half of the time of a ResNet-50's recording).
    """
    with ExitStack() as stack:
        stack.enter_context(random_state_kept(device))
        stack.enter_context(_fast_path_off)
        stack.enter_context(torch.no_grad())
        if device == "meta":
            stack.enter_context(_collector_off)
        yield


@contextmanager
def random_state_kept(device: str) -> Iterator[None]:
    """Seed Python, NumPy and torch, and put their random states back afterwards."""
    numpy = sys.modules.get("numpy")
    python_state = random.getstate()
    numpy_state = numpy.random.get_state() if numpy else None
    cuda = [torch.device(device)] if device.startswith("cuda") else []
    with torch.random.fork_rng(devices=[d.index or 0 for d in cuda]):
        torch.manual_seed(0)
        random.seed(0)
        try:
            yield
        finally:
            random.setstate(python_state)
            if numpy:
                numpy.random.set_state(numpy_state)


class _SwitchedOff:
    """Keeps a switch of the whole process off for as long as any thread records."""

    def __init__(self, is_on: Callable[[], bool], set_on: Callable[[bool], None]) -> None:
        self._is_on = is_on
        self._set_on = set_on
        self._lock = threading.Lock()
        self._users = 0
        self._before = True

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = self._is_on()
                self._set_on(False)
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._set_on(self._before)


_fast_path_off = _SwitchedOff(
    torch.backends.mha.get_fastpath_enabled, torch.backends.mha.set_fastpath_enabled
)
_collector_off = _SwitchedOff(gc.isenabled, lambda on: gc.enable() if on else gc.disable())
