"""Other counters of MACs, run on a clone and reported as what they say: ptflops, and torch's own.

ptflops replaces some fifty functions of torch while it counts, finds them by identity as they were when it was
imported, and leaves attributes behind on ``torch.Tensor``. Here it is imported anew for every count, so that it knows
the functions as they are now, whoever wrapped them; and everything that it replaced is put back, whatever happens.
"""

from __future__ import annotations

import importlib
import io
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

import torch
from torch import nn

from pytest_archcheck.costs.counters import RUNNING, known_counter
from pytest_archcheck.costs.macs import MacCount
from pytest_archcheck.errors import RecordingError, UsageError
from pytest_archcheck.recording.inputs import Arguments
from pytest_archcheck.recording.placements import Placement, with_values
from pytest_archcheck.recording.setup import Fresh, check_arguments, on_clone


@dataclass(frozen=True)
class SecondCount:
    """What another counter says: ``total`` in its own sense of MACs, its version, and where it ran the model."""

    counter: str
    total: int
    version: str
    placement: str
    notes: tuple[str, ...] = ()


def count(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any,
    *,
    counter: str = "macs",
    kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    train: bool = False,
) -> MacCount | SecondCount:
    """Count one forward of a model, which stays as it is.

    ``"macs"``, ``"flops"`` and ``"fvcore"`` come from a recorded trace. The others run a clone of the model and are not
    truth: ``"ptflops"`` (its ``pytorch`` backend) adds norms, activations, pooling and bias, divides by the size of the
    batch what modules cost, and misses ``scaled_dot_product_attention``; ``"ptflops-aten"`` counts kernels, without
    attention; ``"torch"`` is half of what ``torch.utils.flop_counter`` says, which depends on the kernels of a device.

    Args:
        model: a module, or a factory that builds one.
        inputs: as for ``trace``.
        counter: the way of counting.
        kwargs: keyword arguments of the forward.
        device: a placement, as for ``trace``; ptflops needs values, so that ``"auto"`` is CUDA or cpu for it.
        train: count in training mode; ptflops cannot.

    Raises:
        UsageError: an argument makes no sense, or ptflops is asked to count without values.
        RecordingError: the model could not be built, cloned, run or counted.
    """
    known_counter(counter)
    if counter not in RUNNING:
        from pytest_archcheck.recording import trace

        return trace(model, inputs, kwargs=kwargs, device=device, train=train).count(counter)
    check_arguments("count", model, kwargs, train)
    if counter != "torch" and device in ("meta", "fake"):
        raise UsageError(
            f"{counter} counts wrongly on {device}, where kernels are written in Python; give cpu, cuda or auto",
            see="costs",
        )
    return second_count(model, inputs, counter, kwargs=kwargs, device=device, train=train)


def second_count(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any,
    counter: str,
    *,
    kwargs: Mapping[str, Any] | None,
    device: str,
    train: bool,
) -> SecondCount:
    """What one of the counters that run the model says; ptflops where there are values, whatever the device.

    Raises:
        UsageError: ptflops is asked to count in training mode.
        RecordingError: the model could not be built, cloned, run or counted.
    """
    if counter != "torch":
        if train:
            raise UsageError(
                f"counter={counter!r} counts in evaluation mode only; leave train=True out", see="costs"
            )
        device = with_values(
            device
        )  # on meta ptflops sees into kernels that torch has in Python: ViT-B/16 twice

    def run(fresh: Fresh, place: Placement, notes: list[str]) -> SecondCount:
        clone, arguments = fresh()
        caller = _Caller(clone, arguments)
        with place.active():
            try:
                total = _RUNS[counter](caller)
            except Exception as error:
                cause = caller.error or error
                raise RecordingError(
                    f"{counter} could not count {type(clone).__name__} on {place.name}: "
                    f"{type(cause).__name__}: {cause}\n"
                    "  do: see whether trace() records it, which names the layer that fails; or leave counter= out",
                    see="costs",
                ) from cause
        package = "torch" if counter == "torch" else "ptflops"
        return SecondCount(counter, total, version(package), place.name, tuple(notes))

    return on_clone(model, inputs, kwargs, device, train, run)


class _Caller(nn.Module):
    """Calls a model with all of its arguments, whatever the counter hands it, and keeps what it raised."""

    def __init__(self, model: nn.Module, arguments: Arguments) -> None:
        super().__init__()
        self.model = model
        self._arguments = arguments
        self.error: Exception | None = None

    @property
    def batch(self) -> torch.Tensor:
        """By its length ptflops knows the size of the batch: the first input that has one."""
        leaves = (tensor for _, tensor in self._arguments.leaves if tensor.dim())
        return next(leaves, torch.ones(1))

    def forward(self, batch: torch.Tensor | None = None) -> Any:
        try:
            return self.model(*self._arguments.args, **self._arguments.kwargs)
        except Exception as error:
            self.error = error
            raise


def _by_torch(caller: _Caller) -> int:
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False) as counter:
        caller()
    return int(counter.get_total_flops()) // 2


def _by_ptflops(caller: _Caller, backend: str) -> int:
    said = io.StringIO()
    with (
        _patches_undone(),
        _fresh_ptflops() as ptflops,
        redirect_stdout(said),
        redirect_stderr(io.StringIO()),
    ):
        total, _ = ptflops.get_model_complexity_info(
            caller,
            (1,),
            input_constructor=lambda _: caller.batch,
            as_strings=False,
            print_per_layer_stat=False,
            backend=backend,
        )
    if total is None:
        raise RuntimeError(said.getvalue().strip())
    return int(total)


@contextmanager
def _fresh_ptflops() -> Iterator[Any]:
    kept = {name: sys.modules.pop(name) for name in _imported()}
    try:
        yield importlib.import_module("ptflops")
    finally:
        for name in _imported():
            del sys.modules[name]
        sys.modules.update(kept)


def _imported() -> list[str]:
    return [name for name in sys.modules if name.partition(".")[0] == "ptflops"]


@contextmanager
def _patches_undone() -> Iterator[None]:
    """Put back what is replaced in torch meanwhile; an entry that ``torch.Tensor`` inherits is no entry of its own."""
    before = [(owner, dict(vars(owner))) for owner in (torch, nn.functional, torch.Tensor)]
    inherited = {name for cls in torch.Tensor.__mro__[1:] for name in vars(cls)}
    try:
        yield
    finally:
        for owner, names in before:
            for name, value in list(vars(owner).items()):
                if name in names and value is not names[name]:
                    setattr(owner, name, names[name])
                elif name not in names and owner is torch.Tensor and name in inherited:
                    delattr(owner, name)


_RUNS: dict[str, Callable[[_Caller], int]] = {
    "torch": _by_torch,
    "ptflops": lambda caller: _by_ptflops(caller, "pytorch"),
    "ptflops-aten": lambda caller: _by_ptflops(caller, "aten"),
}
