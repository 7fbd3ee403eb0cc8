"""Whether two views of one memory have elements in common."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Extent(NamedTuple):
    """Where the elements of a view lie in its memory, counted in elements."""

    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]


WHOLE = Extent(-1, (), ())
"""The extent of a tensor that does not say: it meets everything."""


def extent_of(tensor: torch.Tensor) -> Extent:
    """The extent of a tensor; ``WHOLE`` where it has no strides."""
    if tensor.layout is not torch.strided or tensor.is_nested:
        return WHOLE
    return Extent(int(tensor.storage_offset()), tuple(tensor.shape), tensor.stride())


def overlap(first: Extent, second: Extent) -> bool:
    """Whether an element belongs to both; in doubt, yes.

    Exact for views with the same strides: slices, pieces of a split, rows. Others meet where their spans do.
    """
    if WHOLE in (first, second):
        return True
    if 0 in first.shape or 0 in second.shape:
        return False
    between = second.offset - first.offset
    if first.stride == second.stride:
        axes = sorted(zip(first.stride, first.shape, second.shape, strict=True), reverse=True)
        return _reaches(between, axes)
    return -_reach(second) <= between <= _reach(first)


def _reach(extent: Extent) -> int:
    return sum((size - 1) * step for size, step in zip(extent.shape, extent.stride, strict=True))


def _reaches(between: int, axes: list[tuple[int, int, int]]) -> bool:
    """Whether some position of the first less one of the second is ``between`` elements on, axis by axis."""
    if not axes:
        return between == 0
    (step, size, other), *inner = axes
    if step == 0:
        return _reaches(between, inner)
    lowest = -sum((extent - 1) * width for width, _, extent in inner)
    highest = sum((extent - 1) * width for width, extent, _ in inner)
    least = max(1 - other, -((highest - between) // step))
    most = min(size - 1, (between - lowest) // step)
    return any(_reaches(between - shift * step, inner) for shift in range(least, most + 1))
