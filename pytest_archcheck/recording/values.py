"""Turn what a forward passes around into values of the record."""

from __future__ import annotations

import enum
import functools
import types
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

import torch
from torch import nn

from pytest_archcheck.records import Ref, Symbol, TensorSpec, Value

_PLAIN = frozenset((bool, int, float, str, type(None)))
_NO_HOLDERS = (
    nn.Module,
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.MethodType,
    types.ModuleType,
    enum.Enum,
    functools.partial,
)


def is_transformed() -> bool:
    """Whether ``vmap`` or another transform is running: then tensors show another shape than they have."""
    return torch._C._functorch.peek_interpreter_stack() is not None


def spec_of(tensor: torch.Tensor, path: str = "") -> TensorSpec:
    """Shape and dtype of a tensor; a ragged dimension, as nested tensors have, is -1."""
    if tensor.is_nested:
        return TensorSpec(_ragged_shape(tensor), dtype_name(tensor.dtype), path)
    return _spec(tensor.shape, tensor.dtype, path)


@functools.lru_cache(maxsize=4096)
def _spec(shape: torch.Size, dtype: torch.dtype, path: str) -> TensorSpec:
    return TensorSpec(tuple(shape), dtype_name(dtype), path)


def _ragged_shape(tensor: torch.Tensor) -> tuple[int, ...]:
    sizes: list[int] = []
    for dimension in range(tensor.dim()):
        try:
            size: Any = tensor.size(dimension)
        except RuntimeError:  # irregular
            size = -1
        sizes.append(size if type(size) is int else -1)
    return tuple(sizes)


@functools.cache
def dtype_name(dtype: torch.dtype) -> str:
    """``torch.float32`` as ``"float32"``."""
    return str(dtype).removeprefix("torch.")


def tensors_in(value: Any) -> list[torch.Tensor]:
    """The tensors of ``tensor_leaves``, without their paths."""
    found: list[torch.Tensor] = []
    _gather(value, found)
    return found


def _gather(value: Any, found: list[torch.Tensor]) -> None:
    kind = type(value)
    if kind is torch.Tensor:
        found.append(value)
    elif kind in _PLAIN:
        return
    elif kind is tuple or kind is list:
        for item in value:
            _gather(item, found)
    elif kind is dict:
        for item in value.values():
            _gather(item, found)
    else:
        found += [tensor for _, tensor in tensor_leaves(value)]


def tensor_leaves(
    value: Any, path: str = "", seen: set[int] | None = None, given: set[int] | None = None
) -> Iterator[tuple[str, torch.Tensor]]:
    """Every tensor inside a value with its path, as in ``("[0].logits", tensor)``.

    Looks into tuples, lists, mappings, slices, dataclasses, and plain objects like distributions and caches.

    Args:
        value: anything that is passed to or returned from a forward.
        path: where it sits.
        seen: ids of the objects that were looked into, as objects may refer to each other.
        given: ids of the tensors that came already, inside a plain object, where one may have several names.
    """
    if isinstance(value, torch.Tensor):
        if given is None:
            yield path, value
        elif id(value) not in given:
            given.add(id(value))
            yield path, value
    elif type(value) in _PLAIN:
        return
    elif isinstance(value, tuple) and hasattr(value, "_fields"):
        for name, item in zip(value._fields, value, strict=True):
            yield from tensor_leaves(item, f"{path}.{name}", seen, given)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from tensor_leaves(item, f"{path}[{index}]", seen, given)
    elif isinstance(value, slice):
        yield from tensor_leaves((value.start, value.stop, value.step), path, seen, given)
    elif isinstance(value, Mapping):
        for key, item in value.items():
            step = f".{key}" if isinstance(key, str) and key.isidentifier() else f"[{key!r}]"
            yield from tensor_leaves(item, path + step, seen, given)
    elif (hasattr(value, "__dict__") or is_dataclass(value)) and not isinstance(value, _NO_HOLDERS):
        seen = set() if seen is None else seen
        given = set() if given is None and not is_dataclass(value) else given
        if id(value) not in seen:
            seen.add(id(value))
            names = [field.name for field in fields(value)] if is_dataclass(value) else list(vars(value))
            for name in names:
                yield from tensor_leaves(getattr(value, name, None), f"{path}.{name}", seen, given)


def record_value(value: Any, ref_of: Callable[[torch.Tensor], Ref]) -> Value:
    """A value of the record: plain data as it is, tensors by reference, all else by name."""
    kind = type(value)
    if kind in _PLAIN:
        return value  # type: ignore[no-any-return]
    if kind is torch.Tensor or isinstance(value, torch.Tensor):
        return ref_of(value)
    if isinstance(value, tuple | list):
        return tuple([record_value(item, ref_of) for item in value])
    if isinstance(value, slice):
        parts = (value.start, value.stop, value.step)
        return {"slice": tuple(record_value(part, ref_of) for part in parts)}
    if isinstance(value, Mapping):
        return {str(key): record_value(item, ref_of) for key, item in value.items()}
    found = list(tensor_leaves(value))
    if found:
        return {path.removeprefix("."): ref_of(tensor) for path, tensor in found}
    return plain_value(value)


def plain_value(value: Any) -> Value:
    """A value without tensors: numbers and strings as they are, objects by qualified name."""
    if type(value) in _PLAIN:
        return value  # type: ignore[no-any-return]
    if isinstance(value, torch.Tensor):
        spec = spec_of(value)
        return Symbol(f"{spec.dtype}[{','.join(map(str, spec.shape))}]")
    if isinstance(value, tuple | list | range):
        return tuple(plain_value(item) for item in value)
    if isinstance(value, complex | bytes):
        return Symbol(repr(value))
    if type(value).__module__ == "numpy" and getattr(value, "size", 0) == 1:  # a scalar, or an array of one
        return plain_value(value.item())
    if isinstance(value, Mapping):
        return {str(key): plain_value(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return tuple(sorted((plain_value(item) for item in value), key=repr))
    if isinstance(value, enum.Enum) and not isinstance(value, int | float | str):
        return Symbol(f"{qualified_name(type(value))}.{value.name}")
    if isinstance(value, bool | int | float | str):  # subclasses, among them numpy's floats
        base = next(kind for kind in (bool, int, float, str) if isinstance(value, kind))
        return base(value)
    if isinstance(value, functools.partial):
        inner: dict[str, Value] = {"partial": plain_value(value.func)}
        if value.args:
            inner["args"] = plain_value(value.args)
        inner.update({key: plain_value(item) for key, item in value.keywords.items()})
        return inner
    if value is Ellipsis:
        return Symbol("Ellipsis")
    if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
        return Symbol(str(value))
    if isinstance(value, type | types.FunctionType | types.BuiltinFunctionType | types.MethodType):
        return Symbol(qualified_name(value))
    return Symbol(f"<{qualified_name(type(value))}>")


def qualified_name(thing: Any) -> str:
    """Where a class or function lives; ``torch.nn``'s modules and functionals by their public name."""
    name = str(getattr(thing, "__qualname__", None) or getattr(thing, "__name__", type(thing).__qualname__))
    module = str(getattr(thing, "__module__", None) or "torch")
    if module.startswith("torch.nn.modules."):
        return f"torch.nn.{name}"
    if module in ("torch._C._nn", "torch._C"):
        return f"torch.nn.functional.{name}" if hasattr(torch.nn.functional, name) else f"torch.{name}"
    return name if module == "builtins" else f"{module}.{name}"
