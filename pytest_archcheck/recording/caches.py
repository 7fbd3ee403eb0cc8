"""Keep tensors of a recording out of the caches that a model's code keeps for the whole process.

A forward or a hook may keep what it makes outside the model: in a function under ``functools.lru_cache``, in a dict or
variable of its file or class, in a closure. A tensor of a recording left there would meet the user's next forward, one
left by the user's last forward would meet the recording; so cached functions forget their tensors before and after it,
and what a recording put into a container or variable is taken out of it again.
"""

from __future__ import annotations

import collections
import functools
import gc
import sys
import types
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from pytest_archcheck.recording.tree import distinct_modules

_LIBRARIES = sys.stdlib_module_names | {"torch", "numpy"}
_DEPTH = 3
"""How deep containers in containers are looked into."""

# These classes and no others: a mapping of somebody's own may do anything when it is read, such as import.
_CONTAINERS = frozenset((dict, list, collections.OrderedDict, collections.defaultdict))
_MISSING = object()


@contextmanager
def caches_clean(model: nn.Module) -> Iterator[None]:
    """Around a recording of a model: nothing cached goes in, nothing recorded stays."""
    owners = _owners(model)
    _forget(owners)
    variables = [(owner, dict(vars(owner))) for owner in owners]
    contents = [(held, held.copy()) for held in _containers(owners)]
    try:
        yield
    finally:
        _forget(owners)
        for held, before in contents:
            if _is_recorded(held):
                held.clear()
                (held.update if isinstance(held, dict) else held.extend)(before)
        for owner, before in variables:
            for name, value in list(vars(owner).items()):
                if value is not before.get(name, _MISSING) and _is_recorded(value):
                    setattr(owner, name, before[name]) if name in before else delattr(owner, name)


def _owners(model: nn.Module) -> list[Any]:
    """The classes of all modules, the files of these and of hooks, and what those files import; no libraries."""
    modules = distinct_modules(model)
    classes = {base for cls in {type(module) for module in modules} for base in cls.__mro__}
    own = [cls for cls in classes if _package(cls.__module__) not in _LIBRARIES]
    names = {cls.__module__ for cls in own}
    for module in modules:
        if module._forward_hooks or module._forward_pre_hooks:
            for hook in (*module._forward_hooks.values(), *module._forward_pre_hooks.values()):
                names.add(getattr(hook, "__module__", None) or "")
    files = [sys.modules[name] for name in names if name in sys.modules]
    imported = [
        value for file in files for value in vars(file).values() if isinstance(value, types.ModuleType)
    ]
    found = {id(file): file for file in (*files, *imported) if _package(file.__name__) not in _LIBRARIES}
    return [*own, *found.values()]


def _package(name: object) -> str:
    return str(name).partition(".")[0]


def _forget(owners: list[Any]) -> None:
    for owner in owners:
        for value in list(vars(owner).values()):
            cached: Any = value.__func__ if isinstance(value, staticmethod) else value
            is_cached = type(cached) is functools._lru_cache_wrapper and cached.cache_info().currsize
            if is_cached and any(_holds_tensor(item) for item in gc.get_referents(cached)):
                cached.cache_clear()


def _containers(owners: list[Any]) -> Iterator[Any]:
    """Dicts and lists in variables, and in the defaults, attributes and closures of functions."""
    seen: set[int] = set()
    for owner in owners:
        for name, value in list(vars(owner).items()):
            if type(value) in _CONTAINERS and not name.startswith("__"):
                yield from _nested(value, seen, _DEPTH)
            function = value.__func__ if isinstance(value, staticmethod) else value
            if isinstance(function, types.FunctionType):
                cells = (c.cell_contents for c in function.__closure__ or () if c != types.CellType())
                kept = (*(function.__defaults__ or ()), *cells, function.__dict__)
                for item in kept:
                    if type(item) in _CONTAINERS:
                        yield from _nested(item, seen, _DEPTH)


def _nested(held: Any, seen: set[int], depth: int) -> Iterator[Any]:
    if id(held) in seen:
        return
    seen.add(id(held))
    yield held
    if depth > 1:
        for item in held.values() if isinstance(held, dict) else held:
            if type(item) in _CONTAINERS:
                yield from _nested(item, seen, depth - 1)


def _tensors(value: Any, depth: int = _DEPTH) -> Iterator[torch.Tensor]:
    if isinstance(value, torch.Tensor):
        yield value
    elif depth and (type(value) in _CONTAINERS or isinstance(value, tuple)):
        for item in list(value.values() if isinstance(value, dict) else value):
            if isinstance(item, torch.Tensor | tuple) or type(item) in _CONTAINERS:
                yield from _tensors(item, depth - 1)


def _holds_tensor(value: Any) -> bool:
    return next(_tensors(value), None) is not None


def _is_recorded(value: Any) -> bool:
    return any(hasattr(tensor, "_archcheck_source") for tensor in _tensors(value))
