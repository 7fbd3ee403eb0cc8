"""Results of common functions on meta, worked out without running torch's own shape functions.

Many of those are written in Python and take half a millisecond: a batch norm that is met for the first time cost
as much as thirty that are known. A rule speaks only for the plain case: contiguous floating tensors of one dtype whose
shapes fit. For all else it gives ``None``, and torch is asked, which also raises what is to be raised.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import nn

_F = nn.functional


class Made(NamedTuple):
    """What a new strided tensor on meta is made of."""

    shape: tuple[int, ...]
    stride: tuple[int, ...]
    dtype: torch.dtype

    def make(self) -> torch.Tensor:
        """A new tensor like this."""
        return torch.empty_strided(self.shape, self.stride, dtype=self.dtype, device="meta")


def is_plain(x: Any) -> bool:
    """Whether something is a tensor or parameter on meta of which size, stride and dtype say all."""
    kind = type(x)
    return (
        (kind is torch.Tensor or kind is nn.Parameter)
        and x.is_meta
        and x.layout is torch.strided
        and not (x.is_complex() or x.is_neg() or x.is_inference())
    )


Rule = Callable[..., Made | None]


def known_result(func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Made | None:
    """The one new tensor that a function returns, or ``None`` where no rule says so."""
    rule = _RULES.get(func)
    if rule is None:
        return None
    try:
        return rule(*args, **kwargs)
    except (AttributeError, IndexError, TypeError, ValueError):  # not called as the rule expects
        return None


def _batch_norm(
    x: Any,
    mean: Any,
    var: Any,
    weight: Any = None,
    bias: Any = None,
    training: bool = False,
    momentum: float | None = 0.1,
    eps: float = 1e-5,
) -> Made | None:
    if (
        training
        or not eps > 0
        or not _is_usual(x)
        or x.dim() < 2
        or not x.shape[1]
        or mean is None
        or var is None
    ):
        return None
    return _like(x) if _all_of((x.shape[1],), x.dtype, mean, var, weight, bias) else None


def _layer_norm(
    x: Any, normalized_shape: Sequence[int], weight: Any = None, bias: Any = None, eps: float = 1e-5
) -> Made | None:
    shape = tuple(normalized_shape)
    if not _is_usual(x) or not shape or tuple(x.shape[-len(shape) :]) != shape:
        return None
    return _like(x) if _all_of(shape, x.dtype, weight, bias) else None


def _linear(x: Any, weight: Any, bias: Any = None) -> Made | None:
    if not _is_usual(x) or weight.dim() != 2 or x.dim() < 1 or weight.dtype != x.dtype:
        return None
    out, width = weight.shape
    if x.shape[-1] != width or not _all_of((out,), x.dtype, bias):
        return None
    return _contiguous((*x.shape[:-1], out), x.dtype)


def _activation(x: Any, inplace: bool = False) -> Made | None:
    return _like(x) if _is_usual(x) and not inplace else None


def _gelu(x: Any, approximate: str = "none") -> Made | None:
    return _activation(x) if approximate in ("none", "tanh") else None


def _softmax(x: Any, dim: int, dtype: Any = None) -> Made | None:
    return _like(x) if _is_usual(x) and dtype is None and -x.dim() <= dim < x.dim() else None


def _functional_softmax(x: Any, dim: int, _stacklevel: int = 3, dtype: Any = None) -> Made | None:
    return _softmax(x, dim, dtype)


def _roll(x: Any, shifts: Any, dims: Any) -> Made | None:
    axes = (dims,) if type(dims) is int else tuple(dims)
    steps = (shifts,) if type(shifts) is int else tuple(shifts)
    fits = len(axes) == len(steps) and all(-x.dim() <= axis < x.dim() for axis in axes)
    return _like(x) if fits and axes and _is_usual(x) else None


def _arithmetic(x: Any, y: Any) -> Made | None:
    if not _is_usual(x):
        return None
    if type(y) in (int, float):
        return _like(x)
    return _like(x) if _is_usual(y) and x.shape == y.shape and x.dtype == y.dtype else None


def _cat(tensors: Sequence[Any], dim: int = 0) -> Made | None:
    first = tensors[0]
    rank = first.dim()
    if rank < 2 or not -rank <= dim < rank or not all(_is_usual(tensor) for tensor in tensors):
        return None
    dim %= rank
    others = first.shape[:dim], first.shape[dim + 1 :]
    total = 0
    for tensor in tensors:
        shape = tensor.shape
        if tensor.dtype != first.dtype or (shape[:dim], shape[dim + 1 :]) != others:
            return None
        total += shape[dim]
    return _contiguous((*others[0], total, *others[1]), first.dtype)


def _adaptive_pool(x: Any, output_size: Any) -> Made | None:
    size = (output_size, output_size) if type(output_size) is int else tuple(output_size)
    if not _is_usual(x) or x.dim() != 4 or len(size) != 2 or not all(type(side) is int for side in size):
        return None
    return _contiguous((*x.shape[:2], *size), x.dtype) if min(size) > 0 and x.numel() else None


def _is_usual(x: Any) -> bool:
    return isinstance(x, torch.Tensor) and x.is_floating_point() and x.stride() == _strides(x.shape)


def _all_of(shape: tuple[int, ...], dtype: torch.dtype, *tensors: Any) -> bool:
    return all(tensor is None or (tensor.shape == shape and tensor.dtype == dtype) for tensor in tensors)


def _like(x: torch.Tensor) -> Made:
    return Made(tuple(x.shape), x.stride(), x.dtype)


def _contiguous(shape: tuple[int, ...], dtype: torch.dtype) -> Made:
    return Made(shape, _strides(shape), dtype)


def _strides(shape: tuple[int, ...]) -> tuple[int, ...]:
    strides, step = [], 1
    for size in reversed(shape):
        strides.append(step)
        step *= max(size, 1)
    return tuple(reversed(strides))


_RULES: dict[Callable[..., Any], Rule] = {
    _F.batch_norm: _batch_norm,
    _F.layer_norm: _layer_norm,
    _F.linear: _linear,
    torch.cat: _cat,
    _F.adaptive_avg_pool2d: _adaptive_pool,
    torch.roll: _roll,
    torch.softmax: _softmax,
    torch.Tensor.softmax: _softmax,
    _F.softmax: _functional_softmax,
    _F.gelu: _gelu,
    **dict.fromkeys((_F.relu, _F.relu6, _F.silu, _F.hardswish, _F.hardsigmoid), _activation),
    **dict.fromkeys(
        (torch.relu, torch.sigmoid, torch.tanh, torch.Tensor.sigmoid, torch.Tensor.tanh), _activation
    ),
    **dict.fromkeys((torch.add, torch.sub, torch.mul, torch.div), _arithmetic),
    **dict.fromkeys((torch.Tensor.add, torch.Tensor.sub, torch.Tensor.mul, torch.Tensor.div), _arithmetic),
}
