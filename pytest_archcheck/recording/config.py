"""What a module is: its class, and the constructor's arguments as its attributes hold them.

A repr is no source for this: it leaves arguments out (``AvgPool2d`` omits ``count_include_pad``) and
changes between versions of torch.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Hashable, Mapping
from typing import Any

import torch
from torch import nn

from pytest_archcheck.recording.classes import per_class
from pytest_archcheck.recording.forms import window
from pytest_archcheck.recording.values import plain_value, qualified_name
from pytest_archcheck.records import Value

_DIMENSIONS = re.compile(r"([123])d$")
_WINDOWS = {"kernel_size", "stride", "padding", "dilation", "output_padding", "output_size"}
_SIMPLE = frozenset((bool, int, float, str, type(None)))
_NEVER = {"self", "device", "dtype"}


def is_atomic(module: nn.Module) -> bool:
    """Whether one line stands for the module: one of ``torch.nn`` without children, attention, recurrent, quantized.

    One whose ``forward`` was replaced on the instance is what that function does. The inside of a scripted
    module cannot be seen.
    """
    cls = type(module)
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if "forward" in module.__dict__:
        return False
    if is_quantized(cls):
        return True
    if not is_torch_class(cls):
        return False
    if isinstance(module, nn.MultiheadAttention):  # its projection may be parametrized, or a LoRA layer
        return all(is_torch_class(type(child)) for child in module._modules.values())
    return not module._modules or isinstance(module, nn.RNNBase)


@per_class
def type_name(cls: type[Any]) -> str:
    """``Conv2d`` for ``torch.nn``'s own classes, the fully qualified name for all others."""
    if issubclass(cls, torch.jit.ScriptModule):
        return "torch.jit.ScriptModule"
    if cls.__qualname__ == "GraphModule.__new__.<locals>.GraphModuleImpl":  # one class for each instance
        return "torch.fx.GraphModule"
    if cls.__module__.startswith("torch.ao.nn."):
        return f"{cls.__module__.partition('.modules')[0]}.{cls.__qualname__}"
    return cls.__name__ if is_torch_class(cls) else qualified_name(cls)


def config_of(module: nn.Module) -> dict[str, Value]:
    """The constructor's arguments that the module keeps as attributes of the same name.

    A parameter is left out, as the state says what it is; ``bias`` of a convolution or linear layer is
    kept as whether there is one, because that is what a reader looks for.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return {"original_name": module.original_name}
    dimensions = _dimensions(type(module))
    return {
        name: plain_value(window(value, dimensions) if dimensions and name in _WINDOWS else value)
        for name, value in _arguments_kept(module).items()
    }


class Configs:
    """The configs of one model's modules; modules that were built alike share one."""

    def __init__(self) -> None:
        self._known: dict[Hashable, Mapping[str, Value]] = {}

    def of(self, module: nn.Module) -> Mapping[str, Value]:
        """What ``config_of`` gives."""
        cls = type(module)
        held = module.__dict__
        if not is_torch_class(cls) or module._modules or "bias" in held:
            return config_of(module)
        values = tuple(map(held.get, constructor_arguments(cls)))
        key = (
            cls.__name__,
            repr(values),
            module._parameters.get("bias") is None,
        )  # 1, 1.0 and True are three things
        config = self._known.get(key)
        if config is None:
            config = self._known[key] = config_of(module)
        return config


def _arguments_kept(module: nn.Module) -> dict[str, Any]:
    """The attributes of a module that are named like an argument of its constructor; no tensors, no modules."""
    cls = type(module)
    held, parameters = module.__dict__, module._parameters
    kept: dict[str, Any] = {}
    for name in constructor_arguments(cls):
        if name in parameters or name in module._buffers:
            if name == "bias" and _shows_bias(cls):
                kept[name] = parameters.get(name) is not None
        elif name in held and name not in module._modules:
            value = held[name]
            if type(value) in _SIMPLE or not isinstance(value, torch.Tensor | nn.Module):
                kept[name] = value
    return kept


def is_torch_class(cls: type) -> bool:
    """Whether a class is one of ``torch.nn``'s own."""
    return cls.__module__.startswith("torch.nn.modules.")


def is_quantized(cls: type) -> bool:
    """Whether a class is one of torch's quantized layers, which keep their weights packed."""
    return cls.__module__.startswith("torch.ao.nn.") and ".quantized." in cls.__module__


@per_class
def saves_more(cls: type[Any]) -> bool:
    """Whether a class saves tensors that are neither parameters nor buffers: it has its own way of saving."""
    return (
        cls._save_to_state_dict is not nn.Module._save_to_state_dict
        or cls.get_extra_state is not nn.Module.get_extra_state
    ) and not issubclass(cls, torch.jit.ScriptModule)


@per_class
def _shows_bias(cls: type[Any]) -> bool:
    return is_torch_class(cls) and ("Conv" in cls.__name__ or "Linear" in cls.__name__)


@per_class
def _dimensions(cls: type[Any]) -> int:
    """2 for ``Conv2d``, 0 for a class without windows."""
    found = _DIMENSIONS.search(cls.__name__) if is_torch_class(cls) else None
    return int(found[1]) if found else 0


@per_class
def constructor_arguments(cls: type[Any]) -> tuple[str, ...]:
    """The names of a class's constructor arguments, without where and in what dtype its tensors are made."""
    for base in cls.__mro__:  # RNN, LSTM and GRU take *args for their base
        try:
            parameters = inspect.signature(base.__init__).parameters.values()  # type: ignore[misc]
        except (TypeError, ValueError):
            continue
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        names = tuple(p.name for p in parameters if p.name not in _NEVER and p.kind not in kinds)
        if names or not base.__module__.startswith("torch."):
            return names
    return ()
