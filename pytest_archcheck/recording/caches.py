"""Keep tensors of a recording out of the caches that a model's code keeps for the whole process.

A forward may cache what it makes outside the model: in a function under ``functools.lru_cache``, in a dict of its
file or of its class. A tensor of a recording left there would meet the user's next forward, one left by the user's
last forward would meet the recording; so such functions forget their tensors before and after it, and what a
recording put into a dict or list is taken out of it again.
"""

from __future__ import annotations

import functools
import gc
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from pytest_archcheck.recording.values import tensor_leaves

_Namespaces = list[Mapping[str, Any]]


@contextmanager
def caches_clean(model: nn.Module) -> Iterator[None]:
    """Around a recording of a model: nothing cached goes in, nothing recorded stays."""
    namespaces = _namespaces(model)
    _forget(namespaces)
    before = {id(held): held.copy() for held in _containers(namespaces)}
    try:
        yield
    finally:
        _forget(namespaces)
        for held in _containers(namespaces):
            if any(_is_recorded(value) for value in _values(held)):
                _restore(held, before.get(id(held), type(held)()))


def _namespaces(model: nn.Module) -> _Namespaces:
    """The classes of all modules and the files that they are written in, torch's own left out."""
    classes = {base for cls in {type(module) for module in model.modules()} for base in cls.__mro__}
    own = [cls for cls in classes if not cls.__module__.startswith(("torch.", "builtins"))]
    files = {cls.__module__ for cls in own}
    return [vars(cls) for cls in own] + [vars(sys.modules[name]) for name in files if name in sys.modules]


def _forget(namespaces: _Namespaces) -> None:
    for namespace in namespaces:
        for value in list(namespace.values()):
            cached = getattr(value, "__func__", value)
            if isinstance(cached, functools._lru_cache_wrapper) and _holds_tensor(cached):
                cached.cache_clear()


def _holds_tensor(cached: functools._lru_cache_wrapper[Any]) -> bool:
    if not cached.cache_info().currsize:
        return False
    held = gc.get_referents(cached)
    return any(True for item in held if not isinstance(item, type) for _ in tensor_leaves(item))


def _containers(namespaces: _Namespaces) -> Iterator[Any]:
    for namespace in namespaces:
        for name, value in list(namespace.items()):
            if type(value) in (dict, list) and not name.startswith("__"):
                yield value


def _values(held: Any) -> list[Any]:
    return list(held.values()) if isinstance(held, dict) else held


def _is_recorded(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and hasattr(value, "_archcheck_source")


def _restore(held: Any, before: Any) -> None:
    held.clear()
    if isinstance(held, dict):
        held.update(before)
    else:
        held.extend(before)
