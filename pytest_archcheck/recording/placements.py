"""Where a forward is recorded: the ladder of devices, and what is kept as it was around it."""

from __future__ import annotations

import random
import sys
import threading
from collections.abc import Iterator
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
    """Keep the random state as it was, autograd off, and the Transformer fast path, which skips hooks."""
    with ExitStack() as stack:
        stack.enter_context(random_state_kept(device))
        stack.enter_context(_fast_path_off)
        stack.enter_context(torch.no_grad())
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


class _FastPathOff:
    """Switches the Transformer fast path off for as long as any thread records."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._before = True

    def __enter__(self) -> None:
        with self._lock:
            if self._users == 0:
                self._before = torch.backends.mha.get_fastpath_enabled()
                torch.backends.mha.set_fastpath_enabled(False)
            self._users += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                torch.backends.mha.set_fastpath_enabled(self._before)


_fast_path_off = _FastPathOff()
