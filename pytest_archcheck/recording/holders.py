"""What may hold a model's state besides modules and containers: plain objects, generators, functions.

A forward can reach the user's model through any of these, or change them, so a clone has its own.
"""

from __future__ import annotations

import array
import collections
import copy
import enum
import functools
import random
import sys
import types
import weakref
from collections.abc import Iterator, Set
from typing import Any, Protocol, TypeVar

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from pytest_archcheck.recording.classes import per_class

ATOMS = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    type,
    enum.Enum,
    types.BuiltinFunctionType,
    types.ModuleType,
    torch.dtype,
    torch.device,
    torch.Size,
)
"""Classes whose instances hold no state."""

ATOM_TYPES = frozenset(ATOMS)

# Instances of these packages are shared unless a tensor is in them: some hold half of the process.
_SHARED_PACKAGES = sys.stdlib_module_names | {"torch"}
_COPIED_CLASSES = frozenset(("types.SimpleNamespace", "argparse.Namespace"))
_NOT_SEARCHED = ("torch.fx", "logging", "threading")
_STATE = (
    torch.Tensor,
    nn.Module,
    dict,
    list,
    set,
    collections.deque,
    collections.UserDict,
    types.MethodType,
    functools.partial,
)


_WRAPPERS = {  # what each keeps the model in; they change where it runs, not what it computes
    "torch._dynamo.eval_frame.OptimizedModule": "_orig_mod",
    "torch.nn.parallel.data_parallel.DataParallel": "module",
    "torch.nn.parallel.distributed.DistributedDataParallel": "module",
}

_T = TypeVar("_T")

RARE_CONTAINERS = (
    frozenset,
    weakref.WeakSet,
    weakref.WeakKeyDictionary,
    weakref.WeakValueDictionary,
    types.MappingProxyType,
)
"""Containers that modules seldom use."""


class Cloning(Protocol):
    """What is needed of the cloner here."""

    @property
    def tree(self) -> set[int]:
        """Ids of the model's modules."""

    def value(self, value: Any) -> Any:
        """The counterpart of a value."""

    def known(self, original: Any) -> Any:
        """The counterpart that something has already, or ``None``."""

    def remember(self, original: Any, twin: _T) -> _T:
        """Let something have this counterpart."""


@per_class
def kept_in_wrapper(cls: type[Any]) -> str | None:
    """The attribute in which a wrapper keeps the model; ``None`` for all other classes."""
    return _WRAPPERS.get(f"{getattr(cls, '__module__', '')}.{getattr(cls, '__qualname__', '')}")


def copy_of_state(value: Any) -> Any:
    """A copy of a random generator or an array, which a forward may change; ``None`` for all else."""
    if isinstance(value, torch.Generator):
        return value.clone_state()
    if isinstance(value, random.Random):
        return copy.copy(value)
    if isinstance(value, bytearray | array.array):
        return copy.copy(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return value.copy()
    if numpy is not None and isinstance(value, numpy.random.Generator | numpy.random.RandomState):
        return copy.deepcopy(value)
    return None


def may_hold_state(value: Any) -> bool:
    """Whether a plain object may hold state of the model: an instance of a class written in Python."""
    cls = type(value)
    if f"{cls.__module__}.{cls.__qualname__}" in _COPIED_CLASSES:
        return True
    if _package(cls) in _SHARED_PACKAGES or _package(cls) == "numpy":
        return _reaches_tensor(value)
    if hasattr(cls, "__del__"):  # a copy would close what the original still uses
        return False
    has_slots = any("__slots__" in base.__dict__ for base in cls.__mro__)
    return bool(getattr(value, "__dict__", None)) or (has_slots and not isinstance(value, ATOMS))


def reaches_state(function: types.FunctionType, tree: Set[int]) -> bool:
    """Whether a function closes over something that a forward could change, or names a module of the model.

    Args:
        function: any Python function.
        tree: ids of the model's modules.
    """
    seen: set[int] = set()
    stack = [function]
    while stack:
        item = stack.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if any(id(item.__globals__.get(name)) in tree for name in _names_in(item.__code__)):
            return True
        for cell in item.__closure__ or ():
            held = cell.cell_contents if _is_filled(cell) else None
            if isinstance(held, types.FunctionType):
                stack.append(held)
            elif isinstance(held, _STATE) or (not isinstance(held, ATOMS) and may_hold_state(held)):
                return True
    return False


def slots_of(value: Any) -> Iterator[tuple[str, str, Any]]:
    """What ``__slots__`` hold, each with its attribute's key and the name that the class wrote."""
    for key, name in _slots_in(type(value)):
        try:
            yield key, name, object.__getattribute__(value, key)
        except AttributeError:
            continue


@per_class
def _slots_in(cls: type[Any]) -> tuple[tuple[str, str], ...]:
    found = []
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            if name in ("__dict__", "__weakref__"):
                continue
            is_private = name.startswith("__") and not name.endswith("__")
            found.append((f"_{base.__name__.lstrip('_')}{name}" if is_private else name, name))
    return tuple(found)


def clone_container(value: Any, cloner: Cloning) -> Any:
    """One of ``RARE_CONTAINERS`` with the counterparts of what it holds."""
    if isinstance(value, types.MappingProxyType):
        return types.MappingProxyType(cloner.value(dict(value)))
    if isinstance(value, frozenset | weakref.WeakSet):
        twin = type(value)(cloner.value(item) for item in value)
    else:
        twin = type(value)([(cloner.value(key), cloner.value(item)) for key, item in value.items()])
    return cloner.remember(value, twin)


def clone_handle(handle: RemovableHandle, cloner: Cloning) -> RemovableHandle:
    """What takes a hook away again: from the clone's hooks, not from the user's."""
    twin = cloner.remember(handle, copy.copy(handle))
    for name, item in vars(handle).items():
        twin.__dict__[name] = cloner.value(item)
    return twin


def clone_function(function: types.FunctionType, cloner: Cloning) -> types.FunctionType:
    """The same function over the counterparts of what it closes over, and of the modules that it names."""
    scope = {
        name: cloner.value(function.__globals__[name])
        for name in _names_in(function.__code__)
        if id(function.__globals__.get(name)) in cloner.tree
    }
    cells = function.__closure__ or ()
    new = [cell for cell in cells if cloner.known(cell) is None]
    for cell in new:
        cloner.remember(cell, types.CellType())
    twin = types.FunctionType(
        function.__code__,
        {**function.__globals__, **scope} if scope else function.__globals__,
        function.__name__,
        function.__defaults__,
        tuple(cloner.known(cell) for cell in cells),
    )
    for name in ("__module__", "__qualname__", "__doc__", "__kwdefaults__"):
        setattr(twin, name, getattr(function, name))
    twin.__dict__.update(function.__dict__)
    cloner.remember(function, twin)
    for cell in new:
        if _is_filled(cell):
            cloner.known(cell).cell_contents = cloner.value(cell.cell_contents)
    return twin


def _package(cls: type) -> str:
    return str(cls.__module__).partition(".")[0]


def _reaches_tensor(value: Any) -> bool:
    """Whether a tensor or a module is in an object, however deep."""
    seen: set[int] = set()
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, ATOMS) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor | nn.Module):
            return True
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list | tuple | set):
            stack.extend(item)
        elif not str(type(item).__module__).startswith(_NOT_SEARCHED):
            stack.extend(getattr(item, "__dict__", {}).values())
    return False


def _names_in(code: types.CodeType) -> set[str]:
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _names_in(constant)
    return names


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # a name that is not bound yet
        return False
