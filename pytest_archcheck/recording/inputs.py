"""What a model is called with: from a shape, a spec or a tensor to arguments of the forward.

A tuple of integers is the shape of one tensor; any other tuple is the positional arguments; anything
else (a list, a dict, a tensor, a spec) is one argument. Keyword arguments go through ``kwargs``.
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence

from pytest_archcheck.errors import ArchcheckError, RecordingError, UsageError
from pytest_archcheck.inputs import Spec, is_shape, positional
from pytest_archcheck.recording.clone import Cloner
from pytest_archcheck.recording.placements import Placement
from pytest_archcheck.recording.values import spec_of, tensor_leaves
from pytest_archcheck.records import TensorSpec

SEED = 0


@dataclass(frozen=True)
class Arguments:
    """Arguments ready for one forward, and every tensor among them with its path."""

    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    leaves: tuple[tuple[str, torch.Tensor], ...]

    @property
    def specs(self) -> tuple[TensorSpec, ...]:
        """The tensors' specs, in the order of the forward's parameters."""
        return tuple(spec_of(tensor, path) for path, tensor in self.leaves)


def make_arguments(
    model: nn.Module, inputs: Any, kwargs: Mapping[str, Any] | None, place: Placement
) -> Arguments:
    """Arguments for ``model.forward`` on a placement.

    Values are drawn from a generator of their own with a fixed seed; the global one is left alone. A
    bare shape takes the floating dtype of the model's first floating parameter.

    Raises:
        UsageError: ``inputs`` or ``kwargs`` hold something that is no input.
        RecordingError: the forward does not take so many arguments, or not of these names.
    """
    maker = _Maker(place, _floating_dtype(model))
    try:
        args = tuple(maker.make(item) for item in positional(inputs))
        named = {key: maker.make(item) for key, item in (kwargs or {}).items()}
    except ArchcheckError:
        raise
    except Exception as error:
        raise RecordingError(
            f"the inputs cannot be made on {place.name}: {type(error).__name__}: {error}\n"
            "  do: give another dtype, or the tensors themselves",
            see="inputs",
        ) from error
    try:
        signature = inspect.signature(model.forward)
    except ValueError:  # a function written in C
        signature = inspect.signature(lambda *args, **kwargs: None)
    try:
        bound = signature.bind(*args, **named)
    except TypeError as error:
        raise RecordingError(
            f"the inputs do not fit: {type(model).__name__}.forward"
            f"{signature} was called with {_counted(args)} and {_keywords(named)}: {error}\n"
            "  do: give each argument once: a tuple of integers is one shape, any other tuple the positional "
            "arguments,\n      kwargs= the keyword arguments; on the command line each is an --input SHAPE, by name "
            "--input NAME=SHAPE (of pytest --arch-input)",
            see="inputs",
        ) from None
    leaves: list[tuple[str, torch.Tensor]] = []
    for name, value in bound.arguments.items():
        is_named = signature.parameters[name].kind is inspect.Parameter.VAR_KEYWORD
        if is_named:
            for key, item in value.items():
                leaves += tensor_leaves(item, key)
        else:
            leaves += tensor_leaves(value, name)
    return Arguments(args, named, tuple(leaves))


def _counted(args: Sequence[Any]) -> str:
    return f"{len(args) or 'no'} positional argument{'s' * (len(args) != 1)}"


def _keywords(named: Mapping[str, Any]) -> str:
    return f"the keyword{'s' * (len(named) > 1)} {', '.join(named)}" if named else "no keywords"


def _floating_dtype(model: nn.Module) -> torch.dtype:
    for parameter in model.parameters():
        if parameter.is_floating_point():
            return parameter.dtype
    return torch.get_default_dtype()


class _Maker:
    def __init__(self, place: Placement, dtype: torch.dtype) -> None:
        self.place = place
        self.dtype = dtype
        self.generator = torch.Generator().manual_seed(SEED)
        self.cloner = Cloner(place, share=False)  # one tensor given twice is one tensor

    def make(self, item: Any) -> Any:
        if isinstance(item, torch.Tensor):
            return self.cloner.tensor(item)
        if is_shape(item):
            return self.draw(item, self.dtype, None, None)
        if isinstance(item, Spec):
            return self.draw(item.shape, self.named_dtype(item), item.low, item.high)
        if isinstance(item, PackedSequence):  # its batch sizes are control flow, read on the host
            return PackedSequence(
                self.make(item.data),
                item.batch_sizes.clone(),
                self.make(item.sorted_indices),
                self.make(item.unsorted_indices),
            )
        if isinstance(item, tuple) and hasattr(item, "_make"):
            return item._make(self.make(part) for part in item)
        if isinstance(item, tuple | list):
            return type(item)(self.make(part) for part in item)
        if isinstance(item, Mapping):
            return self.mapping(item)
        if is_dataclass(item) and not isinstance(item, type):
            return self.dataclass(item)
        if type(item).__module__ == "numpy" and hasattr(item, "shape") and item.shape:
            raise UsageError(
                "a NumPy array is no tensor: give torch.from_numpy(array), or its shape", see="inputs"
            )
        return self.cloner.value(item)  # a distribution, a cache

    def mapping(self, item: Any) -> Any:
        """The same class of mapping with its values made; what is no mutable one becomes a dict."""
        made = {key: self.make(part) for key, part in item.items()}
        if type(item) is dict or not isinstance(item, MutableMapping):
            return made
        twin = copy.copy(item)
        for key, part in made.items():
            twin[key] = part
        return twin

    def dataclass(self, item: Any) -> Any:
        """A copy with its fields made; a frozen one's, too."""
        twin = copy.copy(item)
        for field in fields(item):
            object.__setattr__(twin, field.name, self.make(getattr(item, field.name)))
        return twin

    def named_dtype(self, item: Spec) -> torch.dtype:
        if item.dtype is None:
            return self.dtype
        dtype = getattr(torch, item.dtype, None)
        if not isinstance(dtype, torch.dtype):
            raise UsageError(
                f"an input of dtype {item.dtype!r}: torch has no such dtype; "
                "give a name like float32, int64 or bool",
                see="inputs",
            )
        return dtype

    def draw(
        self, shape: tuple[int, ...], dtype: torch.dtype, low: float | None, high: float | None
    ) -> torch.Tensor:
        if not self.place.has_values:
            with self.place.active():
                return torch.empty(shape, dtype=dtype, device=self.place.device)
        if dtype is torch.bool:
            values = torch.randint(0, 2, shape, generator=self.generator)
        elif not (dtype.is_floating_point or dtype.is_complex):
            first, last = int(low or 0), int(2 if high is None else high)
            values = torch.randint(first, last, shape, generator=self.generator)
        elif low is None and high is None:
            drawn = torch.complex64 if dtype.is_complex else torch.float32
            values = torch.randn(shape, generator=self.generator, dtype=drawn)
        else:
            bottom, top = low or 0.0, 1.0 if high is None else high
            values = torch.rand(shape, generator=self.generator) * (top - bottom) + bottom
        return values.to(self.place.device, dtype)
