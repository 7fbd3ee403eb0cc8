"""Skip shape inference that was done before in the same recording.

Deep networks repeat themselves, and on meta a function's result depends on nothing but the specs of its arguments.
Only functions on a list are skipped, and only where the first call was seen to do one of two things: return new
strided tensors and write to none of its arguments, or write to one argument in place and return that. Every
argument has to be a plain meta tensor or a plain value; size, stride and dtype of every tensor and type and
value of everything else are part of the key. A skipped write still writes, by the cheapest write there is, so
that data flow through shared memory is seen.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any

import torch
from torch import nn

from pytest_archcheck.recording.shape_rules import Made, is_plain, known_result
from pytest_archcheck.recording.twins import version_of
from pytest_archcheck.recording.values import is_transformed

_F = nn.functional
_NAMES = {
    torch: (
        "conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d cat stack add sub mul div "
        "matmul bmm baddbmm addmm einsum sigmoid tanh mean sum softmax clamp where roll"
    ),
    torch.Tensor: "add sub mul div matmul bmm sigmoid tanh mean sum softmax relu clamp masked_fill pow rsqrt "
    "add_ sub_ mul_ div_ relu_ __iadd__ __isub__ __imul__",
    _F: (
        "linear batch_norm layer_norm group_norm instance_norm rms_norm relu relu6 gelu silu elu leaky_relu mish "
        "hardswish hardsigmoid hardtanh softplus softmax log_softmax max_pool1d max_pool2d max_pool3d avg_pool1d "
        "avg_pool2d avg_pool3d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d adaptive_max_pool2d "
        "interpolate embedding scaled_dot_product_attention multi_head_attention_forward normalize pad"
    ),
}
LISTED: frozenset[Callable[..., Any]] = frozenset(
    getattr(owner, name) for owner, names in _NAMES.items() for name in names.split() if hasattr(owner, name)
)
"""Functions that may be skipped. None of them draws random numbers or returns a view."""

_PLAIN = (bool, int, float, str, type(None), torch.dtype, torch.Size)


class Unknown(Exception):
    """An argument that cannot be part of a key."""


class ShapeMemo:
    """The results of pure functions on meta, for one recording."""

    def __init__(self) -> None:
        self._modes = torch._C._len_torch_dispatch_stack()
        self._made: dict[Hashable, tuple[bool, tuple[Made | None, ...]]] = {}
        self._written: dict[Hashable, int] = {}

    def call(self, func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Do what ``func(*args, **kwargs)`` does, from memory where it can."""
        if (
            func not in LISTED
            or "out" in kwargs
            or torch.is_grad_enabled()
            or is_transformed()
            or torch._C._len_torch_dispatch_stack() != self._modes  # one of the model's own may do anything
        ):
            return func(*args, **kwargs)
        tensors: list[torch.Tensor] = []
        try:
            named = _key(tuple(kwargs.items()), tensors) if kwargs else None
            key = (func, torch.get_default_dtype(), _key(args, tensors), named)
        except Unknown:
            return func(*args, **kwargs)
        known = self._made.get(key)
        if known is not None:
            is_tuple, parts = known
            if not is_tuple:
                return parts[0].make()  # type: ignore[union-attr]
            return tuple(part and part.make() for part in parts)
        target = self._written.get(key)
        if target is not None:
            return tensors[target].zero_()
        made = known_result(func, args, kwargs)
        if made is not None:
            self._made[key] = (False, (made,))
            return made.make()
        versions = [version_of(tensor) for tensor in tensors]
        result = func(*args, **kwargs)
        written = [i for i, tensor in enumerate(tensors) if version_of(tensor) != versions[i]]
        if not written:
            self._keep_made(key, result, tensors)
        elif len(written) == 1 and result is tensors[written[0]]:
            self._written[key] = written[0]
        return result

    def _keep_made(self, key: Hashable, result: Any, tensors: list[torch.Tensor]) -> None:
        is_tuple = type(result) is tuple
        parts = result if is_tuple else (result,)
        taken = {tensor.untyped_storage()._cdata for tensor in tensors}
        made: list[Made | None] = []
        for part in parts:
            if part is None:
                made.append(None)
                continue
            if not is_plain(part) or part.untyped_storage()._cdata in taken or part.storage_offset():
                return
            taken.add(part.untyped_storage()._cdata)
            made.append(Made(tuple(part.shape), part.stride(), part.dtype))
        self._made[key] = (is_tuple, tuple(made))


def _key(value: Any, tensors: list[torch.Tensor]) -> Hashable:
    kind = type(value)
    if kind is torch.Tensor or kind is nn.Parameter:
        if not is_plain(value):
            raise Unknown
        tensors.append(value)
        return (value.shape, value.stride(), value.dtype)
    if kind in _PLAIN:
        return (kind, value)
    if kind is tuple or kind is list:
        return tuple(_key(item, tensors) for item in value)
    raise Unknown
