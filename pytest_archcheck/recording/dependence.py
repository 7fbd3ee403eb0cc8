"""What the outputs of a model depend on, seen from two runs of clones between which something was changed.

The user's model stays as it is: every run has a clone with copies of all tensors.
"""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch import nn

from pytest_archcheck.behaviour import Dependence
from pytest_archcheck.errors import UsageError
from pytest_archcheck.recording.axes import output_axes
from pytest_archcheck.recording.inputs import Arguments
from pytest_archcheck.recording.placements import Placement, random_state_kept, with_values
from pytest_archcheck.recording.setup import Fresh, called, check_arguments, on_clone
from pytest_archcheck.recording.values import tensor_leaves

ACROSS = ("batch", "time", "seed")
_TOLERANCE = 1e-5
"""Of an element: rounding is some 1e-6 of it, and the inputs are changed by as much as they are."""


def dependence(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any,
    *,
    across: str,
    dim: int = 0,
    kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    train: bool = False,
) -> tuple[Dependence, ...]:
    """The outputs of a model that depend on what they must not; empty where none does.

    The model is called twice, each time as a new clone with the same random state. Between the calls something is
    changed, and what must not depend on it is compared:

    * across ``"batch"``: the first row of all inputs along ``dim``, then the last; all other rows of the outputs must
      stay. Which axis of an output has the rows follows from a recording with one more or one less;
    * across ``"time"``: all inputs from a position on, for three positions; the outputs before it must stay;
    * across ``"seed"``: the random state of torch, Python and NumPy; all outputs must stay.

    Raises:
        UsageError: ``across`` is none of these, or the inputs or all outputs have less than two rows or positions.
        RecordingError: the model could not be built, cloned or run.
    """
    check_arguments("dependence", model, kwargs, train)

    if across not in ACROSS:
        raise UsageError(f"across={across!r}: it is one of {', '.join(ACROSS)}", see="behaviour")
    axes = {} if across == "seed" else output_axes(model, inputs, kwargs, device, train, dim)

    def run(fresh: Fresh, place: Placement, notes: list[str]) -> tuple[Dependence, ...]:
        _, arguments = fresh()
        sizes = [t.shape[dim] for _, t in arguments.leaves if -t.dim() <= dim < t.dim()]
        size = sizes[0] if sizes else 0
        if across != "seed" and size < 2:
            what = "row" if across == "batch" else "position"
            raise UsageError(
                f"the inputs have {size or 'no'} {what}{'s' * (not size)} along dimension {dim}, and two or more are "
                f"needed to tell them apart; state larger inputs, or another dim=",
                see="behaviour",
            )
        tried: dict[str, list[_Part | None]] = {
            "batch": [_Part(0, 1), _Part(size - 1, 1)],  # the first row, and the last
            "time": [_Part(cut, size - cut) for cut in sorted({1, size // 2, size - 1})],
            "seed": [None],
        }
        for part in tried[across]:
            found = _compared(fresh, place, dim, size, part, axes)
            if found:
                return found
        return ()

    return on_clone(model, inputs, kwargs, with_values(device), train, run, grad=False)


class _Part(NamedTuple):
    """Rows or positions of the inputs that are changed: where they start, and how many they are."""

    start: int
    length: int


class _Kept(NamedTuple):
    """What of a tensor must not have changed, along ``axis`` with its ``size`` rows; all where there is no part."""

    part: _Part | None
    axis: int
    size: int

    @property
    def after(self) -> bool:
        """Whether it lies after what is changed."""
        return self.part is not None and self.part.start == 0

    def __call__(self, tensor: torch.Tensor) -> torch.Tensor | None:
        """The part of a tensor; ``None`` where the axis does not say which it is."""
        if self.part is None:
            return tensor
        if not -tensor.dim() <= self.axis < tensor.dim():
            return None
        length = tensor.shape[self.axis]
        if length == 0 or length % self.size:
            return None
        # windows and heads are merged into the batch, which stays the outer one
        rows = length // self.size
        if self.after:
            return tensor.narrow(self.axis, rows * self.part.length, length - rows * self.part.length)
        return tensor.narrow(self.axis, 0, rows * self.part.start)


def _compared(
    fresh: Fresh, place: Placement, dim: int, size: int, part: _Part | None, axes: Mapping[str, int | None]
) -> tuple[Dependence, ...]:
    runs = []
    for is_changed in (False, True):
        clone, arguments = fresh()
        if is_changed and part is not None:
            _change(arguments, dim, size, part)
        with random_state_kept(place.device), _watched(clone) as calls:
            if is_changed and part is None:
                _seed(1)
            result = called(clone, arguments, place)
        runs.append((list(tensor_leaves(result)), calls))
    (before, calls_before), (after, calls_after) = runs
    found = []
    judged = False
    layer, cls = "", ""
    for (path, a), (_, b) in zip(before, after, strict=False):
        axis = axes.get(path, dim)
        if axis is None:
            continue
        kept = _Kept(part, axis, size)
        judged |= kept(a) is not None
        change = _difference(kept(a), kept(b))
        if change > _TOLERANCE:
            if not layer:
                layer, cls = _first_layer(calls_before, calls_after, _Kept(part, dim, size))
            found.append(Dependence(path, _positions(a, b, axis, kept), change, layer, cls))
    if not judged:
        shapes = ", ".join(str(list(tensor.shape)) for _, tensor in before)
        raise UsageError(
            f"no output has {size} rows or positions along dimension {dim}; found {shapes}; "
            "name the dimension that has them with dim=",
            see="behaviour",
        )
    return tuple(found)


def _seed(seed: int) -> None:
    torch.manual_seed(seed)
    random.seed(seed)
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        numpy.random.seed(seed)


def _change(arguments: Arguments, dim: int, size: int, part: _Part) -> None:
    """Change rows or positions of all inputs; whole numbers stay in the range that they have.

    Masks of truth values are changed where nothing else can be.
    """
    leaves = [t for _, t in arguments.leaves if -t.dim() <= dim < t.dim() and t.shape[dim] == size]
    for tensor in leaves:
        tensor.data = tensor.clone(memory_format=torch.contiguous_format)  # a row that was expanded is many
    changed = [_changed(t.narrow(dim, part.start, part.length), t) for t in leaves if t.dtype != torch.bool]
    if not any(changed):
        masks = [t for t in leaves if t.dtype == torch.bool]
        if not masks:
            raise UsageError(
                "no input can be changed: their values are all the same; state other inputs", see="behaviour"
            )
        for mask in masks:
            mask.narrow(dim, part.start, part.length).logical_not_()


def _changed(part: torch.Tensor, whole: torch.Tensor) -> bool:
    if part.is_floating_point() or part.is_complex():
        part.copy_(1.5 * part.flip(0) + torch.randn_like(part))
        return True
    low, high = int(whole.min()), int(whole.max())
    part.copy_(low + (part.long() - low + 1) % (high - low + 1))
    return high > low


def _difference(a: torch.Tensor | None, b: torch.Tensor | None) -> float:
    """The largest change of an element, relative to it or to what is usual there; infinite for another shape."""
    if a is None or b is None or not a.numel():
        return 0.0
    if a.shape != b.shape:
        return float("inf")
    return float(_changes(a, b).max())


def _changes(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
    """The change of each element, relative to it or to the lower quartile, so that masks of -1e9 hide none."""
    if not a.is_floating_point() and not a.is_complex():
        return (a != b).double()
    a, b = (torch.view_as_real(t).double() if t.is_complex() else t.double() for t in (a, b))
    is_same_kind = a.isfinite() == b.isfinite()
    a, b = (t.nan_to_num(0, 0, 0) for t in (a, b))
    sizes = a.abs().flatten()
    sizes = sizes[sizes > 0][:: max(1, sizes.numel() // 100_000)]
    usual = sizes.sort().values[len(sizes) // 4] if len(sizes) else torch.ones((), dtype=torch.double)
    changes = (a - b).abs() / torch.maximum(torch.maximum(a.abs(), b.abs()), usual)
    return changes.where(is_same_kind, torch.inf)


def _positions(a: torch.Tensor, b: torch.Tensor, axis: int, kept: _Kept) -> tuple[int, ...]:
    """The first five positions along the axis that changed."""
    first, second = kept(a), kept(b)
    if first is None or second is None or first.shape != second.shape or not first.dim():
        return ()
    changes = _changes(first, second)
    changes = (
        changes.flatten(first.dim() - 1) if changes.dim() > first.dim() else changes
    )  # of complex numbers
    rows = changes.movedim(axis, 0).reshape(first.shape[axis], -1).amax(1) > _TOLERANCE
    offset = a.shape[axis] - len(rows) if kept.after else 0
    return tuple(int(row) + offset for row in rows.nonzero().flatten()[:5])


_Calls = dict[tuple[str, int], tuple[str, list[torch.Tensor], list[torch.Tensor]]]


@contextmanager
def _watched(clone: nn.Module) -> Iterator[_Calls]:
    """What every call of a module took and gave, by its name and number, a call before those that hold it."""
    calls: _Calls = {}
    numbers: dict[str, int] = {}
    names = {module: name for name, module in clone.named_modules()}

    def keep(module: nn.Module, args: Any, kwargs: Any, result: Any) -> None:
        name = names[module]
        numbers[name] = numbers.get(name, 0) + 1
        took = [tensor.clone() for _, tensor in tensor_leaves((args, kwargs))]
        gave = [tensor.clone() for _, tensor in tensor_leaves(result)]
        calls[name, numbers[name]] = (type(module).__name__, took, gave)

    handles = [module.register_forward_hook(keep, with_kwargs=True) for module in names]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def _first_layer(before: _Calls, after: _Calls, kept: _Kept) -> tuple[str, str]:
    """The first call that gave what changed and took nothing that did."""

    def changed(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
        return len(one) != len(other) or any(
            _difference(kept(a), kept(b)) > _TOLERANCE for a, b in zip(one, other, strict=True)
        )

    for key, (cls, took, gave) in before.items():
        if key in after and changed(gave, after[key][2]) and not changed(took, after[key][1]):
            return key[0] or ".", cls
    return ".", ""
