"""Which axis of an output has the rows or positions of the inputs, from recordings with different numbers of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from pytest_archcheck.errors import ArchcheckError
from pytest_archcheck.inputs import Spec, is_shape


def output_axes(
    model: Any, inputs: Any, kwargs: Mapping[str, Any] | None, device: str, train: bool, dim: int
) -> dict[str, int | None]:
    """The axis of each output that grows with the inputs, ``None`` where none does; empty where it cannot be said.

    By the length alone it cannot: a cache of two layers looks like a batch of two.
    """
    from pytest_archcheck.recording import trace

    try:
        one = trace(model, inputs, kwargs=kwargs, device=device, train=train)
        size = one.inputs[0].shape[dim]
        other = size - 1 if size > 2 else size + 1

        def resized(item: Any) -> Any:
            return _resized(item, dim, size, other)

        more = None if kwargs is None else resized(kwargs)
        another = trace(model, resized(inputs), kwargs=more, device=device, train=train)
    except (ArchcheckError, IndexError, RuntimeError):
        return {}
    if [output.path for output in one.outputs] != [output.path for output in another.outputs]:
        return {}
    found: dict[str, int | None] = {}
    for a, b in zip(one.outputs, another.outputs, strict=True):
        changed = [axis for axis, (m, n) in enumerate(zip(a.shape, b.shape, strict=False)) if m != n]
        found[a.path] = changed[0] if changed else None
    return found


def _resized(item: Any, dim: int, size: int, other: int) -> Any:
    """The same inputs with another number of rows or positions."""
    if isinstance(item, torch.Tensor):
        if not (-item.dim() <= dim < item.dim() and item.shape[dim] == size):
            return item
        more = item if other < size else torch.cat([item, item.narrow(dim, 0, 1)], dim)
        return more.narrow(dim, 0, other)
    if isinstance(item, Spec):
        return replace(item, shape=_resized(item.shape, dim, size, other))
    if is_shape(item):
        at = dim % len(item) if -len(item) <= dim < len(item) else None
        return tuple(other if axis == at and n == size else n for axis, n in enumerate(item))
    if isinstance(item, Mapping):
        return {key: _resized(part, dim, size, other) for key, part in item.items()}
    return (
        type(item)(_resized(part, dim, size, other) for part in item) if type(item) in (tuple, list) else item
    )
