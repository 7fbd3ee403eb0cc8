"""Keep every tensor of a forward where it is recorded.

Where a tensor lives is no architecture, so a forward that makes or moves one elsewhere (``.cuda()``,
``device=self.device``) makes it in the recording's place.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

_CREATORS = frozenset(
    "arange empty empty_strided empty_permuted eye full linspace logspace ones rand randint randn randperm tensor "
    "zeros scalar_tensor tril_indices triu_indices as_tensor asarray bartlett_window blackman_window "
    "hamming_window hann_window kaiser_window sparse_coo_tensor".split()
)
_MOVES = frozenset(("to", "cuda", "cpu"))


def placed(
    func: Callable[..., Any],
    name: str,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    device: torch.device,
) -> tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]:
    """The call that does the same on a device: one that names another, or makes a tensor on the default one."""
    if kwargs.get("device") is not None or name in _CREATORS:
        kwargs = {**kwargs, "device": device}
    if name in _MOVES and isinstance(args[0], torch.Tensor):
        if name != "to":
            return torch.Tensor.to, (args[0], device), {}
        if len(args) > 1 and isinstance(args[1], torch.device | str | int):
            args = (args[0], device, *args[2:])
    return func, args, kwargs
