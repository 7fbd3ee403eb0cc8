"""A structural clone: the user's model in shape, with tensors of its own.

Requirements this module meets:

* the user's model is never run and never written to: modules, containers and bound methods are copied;
* on ``meta`` no tensor holds data; on a real device parameters share their storage and buffers are copied;
* a tensor that is tied stays tied, a module that is shared stays shared.
"""

from __future__ import annotations

import collections
import copy
import functools
import types
from typing import Any, cast

import torch
from torch import nn

from pytest_archcheck.errors import RecordingError

_ATOMS = (
    bool,
    int,
    float,
    complex,
    str,
    bytes,
    type(None),
    type,
    types.FunctionType,
    types.BuiltinFunctionType,
    types.ModuleType,
    torch.dtype,
    torch.device,
    torch.Size,
)
_ATOM_TYPES = frozenset(_ATOMS)
_CONTAINER_TYPES = frozenset((dict, collections.OrderedDict, list, set))


class Cloner:
    """Copies one model for one device: ``module`` gives the root, ``tensors`` all that it then holds."""

    def __init__(self, device: str) -> None:
        self.device = torch.device(device)
        self.tensors: list[torch.Tensor] = []
        self._memo: dict[int, Any] = {}
        self._kept: list[Any] = []  # ids in the memo stay taken while the clone is being made

    def module(self, module: nn.Module) -> nn.Module:
        """The clone of a module and of everything below it.

        Raises:
            RecordingError: the module is scripted, or lazy and not yet initialised.
        """
        known = self._memo.get(id(module))
        if known is not None:
            return cast(nn.Module, known)
        if isinstance(module, torch.jit.ScriptModule):
            raise RecordingError(
                f"a scripted module ({type(module).__name__}) has no Python forward to record; "
                "record the module that it was scripted from"
            )
        if type(module).__name__ == "OptimizedModule":  # torch.compile's: the same module, compiled
            return self._remember_module(module, self.module(cast(nn.Module, module._modules["_orig_mod"])))
        clone = self._remember_module(module, object.__new__(type(module)))
        for name, value in module.__dict__.items():
            if name == "_compiled_call_impl":  # of module.compile(); it would run the original
                continue
            object.__setattr__(clone, name, self.value(value))
        for name in _slots(type(module)):
            if hasattr(module, name):
                object.__setattr__(clone, name, self.value(getattr(module, name)))
        return clone

    def value(self, value: Any) -> Any:
        """The counterpart of anything that a module holds; what has no state is shared."""
        kind = type(value)
        if kind in _ATOM_TYPES or isinstance(value, _ATOMS):
            return value
        known = self._memo.get(id(value))
        if known is not None:
            return known
        if kind in _CONTAINER_TYPES and not value:  # a module has a dozen empty dicts of hooks
            return self._remember(value, kind())
        if isinstance(value, torch.Tensor):
            twin = self.tensor(value)
            self.tensors.append(twin)
            return self._remember(value, twin)
        if isinstance(value, nn.Module):
            return self.module(value)
        if isinstance(value, dict):
            return self._mapping(value)
        if isinstance(value, list | set | collections.deque):
            return self._mutable(value)
        if isinstance(value, tuple):
            items = [self.value(item) for item in value]
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        if isinstance(value, types.MethodType):
            return types.MethodType(value.__func__, self.value(value.__self__))
        if isinstance(value, functools.partial):
            keywords = {key: self.value(item) for key, item in value.keywords.items()}
            arguments = [self.value(item) for item in value.args]
            return functools.partial(self.value(value.func), *arguments, **keywords)
        if hasattr(value, "__dict__") and _holds_state(value, set()):
            twin = copy.copy(value)
            self._remember(value, twin)
            for name, item in value.__dict__.items():
                object.__setattr__(twin, name, self.value(item))
            return twin
        return value

    def tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """The counterpart of one tensor on the clone's device.

        Raises:
            RecordingError: a lazy parameter without a shape, or a meta tensor for a real device.
        """
        if nn.parameter.is_lazy(tensor):
            raise RecordingError(
                "a lazy module has parameters without a shape; call the model once on real inputs first"
            )
        if tensor.device.type == "meta" and self.device.type != "meta":
            raise RecordingError(
                f"its tensors are on meta and have no values to run with on {self.device.type}"
            )
        is_parameter = isinstance(tensor, nn.Parameter)
        with torch.no_grad():
            plain = tensor.detach()
            if self.device.type == "meta":
                twin = _empty_like(plain)
            elif is_parameter and plain.device.type == self.device.type:
                twin = plain
            else:
                twin = plain.to(self.device, copy=True)
        if is_parameter:
            return nn.Parameter(twin, requires_grad=tensor.requires_grad)
        return twin.requires_grad_() if tensor.requires_grad else twin

    def _mapping(self, value: dict[Any, Any]) -> dict[Any, Any]:
        twin = copy.copy(value)
        self._remember(value, twin)
        for key, item in value.items():
            changed = self.value(item)
            if changed is not item:
                twin[key] = changed
        return twin

    def _mutable(self, value: Any) -> Any:
        twin = copy.copy(value)
        self._remember(value, twin)
        twin.clear()
        for item in value:
            (twin.add if isinstance(twin, set) else twin.append)(self.value(item))
        return twin

    def _remember_module(self, original: nn.Module, twin: nn.Module) -> nn.Module:
        return cast(nn.Module, self._remember(original, twin))

    def _remember(self, original: Any, twin: Any) -> Any:
        self._memo[id(original)] = twin
        self._kept.append(original)
        return twin


def _empty_like(tensor: torch.Tensor) -> torch.Tensor:
    if tensor.layout is torch.strided and not tensor.is_quantized and not tensor.is_nested:
        return torch.empty_strided(tensor.size(), tensor.stride(), dtype=tensor.dtype, device="meta")
    return tensor.to("meta")


def _slots(cls: type) -> list[str]:
    names: list[str] = []
    for base in cls.__mro__:
        slots = base.__dict__.get("__slots__", ())
        names += [slots] if isinstance(slots, str) else list(slots)
    return [name for name in names if name not in ("__dict__", "__weakref__")]


def _holds_state(value: Any, seen: set[int]) -> bool:
    """Whether a tensor or a module can be reached from a plain object."""
    stack = [value]
    while stack:
        item = stack.pop()
        if isinstance(item, _ATOMS) or id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, torch.Tensor | nn.Module):
            return True
        if isinstance(item, dict):
            stack.extend(item.values())
        elif isinstance(item, list | tuple | set):
            stack.extend(item)
        elif hasattr(item, "__dict__"):
            stack.extend(vars(item).values())
    return False
