"""Skip a layer that did the same before in the same recording.

On meta, what one of ``torch.nn``'s own layers returns depends on nothing but its class, its attributes and the specs
of its tensors and of its input. A layer on the list that was seen to return one new tensor, its input, or its
input written in place is not run again under the same key; what it would have done is done without it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from operator import itemgetter
from typing import Any, NamedTuple

import torch
from torch import nn

from pytest_archcheck.recording.classes import per_class
from pytest_archcheck.recording.config import constructor_arguments
from pytest_archcheck.recording.shape_rules import Made, is_plain
from pytest_archcheck.recording.sources import Operands
from pytest_archcheck.recording.twins import memory_of, version_of
from pytest_archcheck.recording.values import is_transformed, spec_of
from pytest_archcheck.records import TensorSpec

_NAMES = (
    "Conv1d Conv2d Conv3d ConvTranspose1d ConvTranspose2d ConvTranspose3d Linear BatchNorm1d BatchNorm2d BatchNorm3d "
    "LayerNorm GroupNorm InstanceNorm1d InstanceNorm2d InstanceNorm3d RMSNorm ReLU ReLU6 GELU SiLU ELU LeakyReLU "
    "Mish Hardswish Hardsigmoid Hardtanh Sigmoid Tanh Softplus Softmax Identity Dropout Dropout1d Dropout2d Dropout3d "
    "MaxPool1d MaxPool2d MaxPool3d AvgPool1d AvgPool2d AvgPool3d AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d"
)
_FORWARDS = {getattr(nn, name): getattr(nn, name).forward for name in _NAMES.split() if hasattr(nn, name)}
LISTED: frozenset[type] = frozenset(
    cls for cls, forward in _FORWARDS.items() if forward.__module__.startswith("torch.nn.modules.")
)
"""Layers that may be skipped, while their forward is torch's own."""
_TENSORS = ("bias", "weight")
# In training these draw random numbers, or write to their statistics.
_IN_EVALUATION = frozenset(
    cls for cls in LISTED if any(word in cls.__name__ for word in ("Dropout", "BatchNorm", "InstanceNorm"))
)


class Effect(NamedTuple):
    """What a layer does with its input: a new tensor, or the input itself, written to or not."""

    made: Made | None
    writes: bool
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


class LayerMemo:
    """The effects of the layers of one recording on meta."""

    def __init__(self) -> None:
        self._effects: dict[Hashable, Effect] = {}
        # the recorder's own mode and those around it; one of the model's may do anything
        self._modes = torch._C._len_torch_function_stack() + 1, torch._C._len_torch_dispatch_stack()

    def key(self, module: nn.Module, x: Any) -> Hashable:
        """What the effect of calling a module with one tensor depends on; ``None`` where it is not on the list."""
        cls = type(module)
        if not is_plain(x) or torch.is_grad_enabled() or is_transformed():
            return None
        held = module.__dict__
        if (
            (module.training and cls in _IN_EVALUATION)
            or any(name in held for name in _TENSORS)
            or not held.keys().isdisjoint(_methods(cls))
            or cls.forward is not _FORWARDS.get(cls)
            or held.get("padding_mode", "zeros") != "zeros"  # another padding is worked out when it is built
            or self._modes != (torch._C._len_torch_function_stack(), torch._C._len_torch_dispatch_stack())
        ):
            return None
        state: list[Hashable] = []
        for tensors in (held["_parameters"], held["_buffers"]):
            for name, tensor in tensors.items():
                if tensor is None:
                    state.append(None)
                elif is_plain(tensor):
                    state += (name, tensor.shape, tensor.stride(), tensor.dtype)
                else:
                    return None
        try:
            key = (
                cls,
                module.training,
                _reader(cls)(held),
                tuple(state),
                x.shape,
                x.stride(),
                x.dtype,
                torch.get_default_dtype(),
            )
            hash(key)
        except (KeyError, TypeError):  # an attribute is gone, or was replaced by something that has no hash
            return None
        return key

    def effect(self, key: Hashable) -> Effect | None:
        """What a layer with this key does, if it is known."""
        return self._effects.get(key)

    def learn(self, key: Hashable, module: nn.Module, operands: Operands, y: Any) -> None:
        """Keep what a layer did with its input, where it is one of the three effects."""
        x, version = operands[0]
        writes, made = version_of(x) != version, None
        if y is x:
            pass
        elif (
            not writes
            and type(y) is torch.Tensor
            and _is_new(y, (x, *module._parameters.values(), *module._buffers.values()))
        ):
            made = Made(tuple(y.shape), y.stride(), y.dtype)
        else:
            return
        self._effects[key] = Effect(made, writes, (spec_of(x),), (spec_of(y),))


@per_class
def _reader(cls: type[Any]) -> Callable[[dict[str, Any]], Any]:
    """Reads the attributes that say what a layer of a class does, from its ``__dict__``."""
    names = [name for name in constructor_arguments(cls) if name not in _TENSORS]
    return itemgetter(*names) if names else lambda held: ()


@per_class
def _methods(cls: type[Any]) -> frozenset[str]:
    """What a forward may call, and an instance may have replaced."""
    return frozenset(dir(cls)) - {"forward"}


def _is_new(y: torch.Tensor, others: Iterable[torch.Tensor | None]) -> bool:
    memory = memory_of(y)
    is_shared = any(other is not None and memory_of(other) == memory for other in others)
    return is_plain(y) and not y.storage_offset() and not is_shared
