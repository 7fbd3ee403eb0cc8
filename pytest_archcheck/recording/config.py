"""What a module is: its class, and the constructor's arguments as its attributes hold them.

A repr is no source for this: it leaves arguments out (``AvgPool2d`` omits ``count_include_pad``) and
changes between versions of torch.
"""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Hashable
from typing import cast

import torch
from torch import nn

from pytest_archcheck.recording.functions import window
from pytest_archcheck.recording.values import plain_value, qualified_name
from pytest_archcheck.records import Value

_DIMENSIONS = re.compile(r"([123])d$")
_WINDOWS = {"kernel_size", "stride", "padding", "dilation", "output_padding", "output_size"}
_NEVER = {"self", "device", "dtype"}


def is_atomic(module: nn.Module) -> bool:
    """Whether one line stands for the module: one of ``torch.nn`` without children, attention, recurrent, quantized.

    One whose ``forward`` was replaced on the instance is what that function does. The inside of a scripted
    module cannot be seen.
    """
    if isinstance(module, torch.jit.ScriptModule):
        return True
    if "forward" in module.__dict__:
        return False
    if is_quantized(type(module)):
        return True
    if not is_torch_class(type(module)):
        return False
    if isinstance(module, nn.MultiheadAttention):  # its projection may be parametrized, or a LoRA layer
        return all(is_torch_class(type(child)) for child in module._modules.values())
    return not module._modules or isinstance(module, nn.RNNBase)


def type_name(cls: type) -> str:
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
    cls = type(module)
    shows_bias = _shows_bias(cls)
    dimensions = _DIMENSIONS.search(cls.__name__) if is_torch_class(cls) else None
    config: dict[str, Value] = {}
    for name in _constructor_arguments(cast(Hashable, cls)):
        if name in module._parameters or name in module._buffers:
            if name == "bias" and shows_bias:
                config[name] = module._parameters.get(name) is not None
            continue
        if name in module._modules or name not in module.__dict__:
            continue
        value = module.__dict__[name]
        if isinstance(value, torch.Tensor | nn.Module):
            continue
        if dimensions and name in _WINDOWS:
            value = window(value, int(dimensions[1]))
        config[name] = plain_value(value)
    return config


def is_torch_class(cls: type) -> bool:
    """Whether a class is one of ``torch.nn``'s own."""
    return cls.__module__.startswith("torch.nn.modules.")


def is_quantized(cls: type) -> bool:
    """Whether a class is one of torch's quantized layers, which keep their weights packed."""
    return cls.__module__.startswith("torch.ao.nn.") and ".quantized." in cls.__module__


def saves_more(module: nn.Module) -> bool:
    """Whether a module saves tensors that are neither parameters nor buffers: it has its own way of saving."""
    cls = type(module)
    return (
        cls._save_to_state_dict is not nn.Module._save_to_state_dict
        or cls.get_extra_state is not nn.Module.get_extra_state
    ) and not isinstance(module, torch.jit.ScriptModule)


def _shows_bias(cls: type) -> bool:
    return is_torch_class(cls) and ("Conv" in cls.__name__ or "Linear" in cls.__name__)


@functools.cache
def _constructor_arguments(key: Hashable) -> tuple[str, ...]:
    for cls in cast(type, key).__mro__:  # RNN, LSTM and GRU take *args for their base
        try:
            parameters = inspect.signature(cls.__init__).parameters.values()  # type: ignore[misc]
        except (TypeError, ValueError):
            continue
        kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        names = tuple(p.name for p in parameters if p.name not in _NEVER and p.kind not in kinds)
        if names or not cls.__module__.startswith("torch."):
            return names
    return ()
