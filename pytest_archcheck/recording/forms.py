"""One form of arguments that can be written in several: an index, and the size of a window."""

from __future__ import annotations

from itertools import dropwhile
from typing import Any


def index(given: Any, rank: int) -> Any:
    """``x[:, 2]`` of a matrix as ``x[..., 2]``: an ellipsis for leading full slices, where every axis is named."""
    items = given if type(given) is tuple else (given,)
    had_ellipsis = items[:1] == (Ellipsis,)
    named = items[had_ellipsis:]
    if not all(type(item) in (int, slice) for item in named) or not (had_ellipsis or len(named) == rank):
        return given
    kept = tuple(dropwhile(_is_full, named))
    if not kept:
        return given
    if len(kept) < rank:
        return (Ellipsis, *kept)
    return kept if rank > 1 else kept[0]


def _is_full(item: Any) -> bool:
    return isinstance(item, slice) and item.start is item.stop is item.step is None


def window(value: Any, dimensions: int) -> Any:
    """``3`` as ``(3, 3)`` for a two-dimensional window; anything else as it is."""
    if type(value) is int:
        return (value,) * dimensions
    if isinstance(value, tuple | list) and len(value) == 1 and type(value[0]) is int:
        return tuple(value) * dimensions
    return value
