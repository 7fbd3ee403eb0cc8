"""Build a model from a factory without leaving a mark on the random state."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from torch import nn

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.failures import place_in_project
from pytest_archcheck.recording.placements import Placement, random_state_kept
from pytest_archcheck.recording.twins import NoValuesError
from pytest_archcheck.records import StateTensor, TensorSpec


def is_model_or_factory(thing: Any) -> bool:
    """Whether a thing is a module, or may be called to build one."""
    return isinstance(thing, nn.Module) or callable(thing)


def build(factory: nn.Module | Callable[[], nn.Module]) -> nn.Module:
    """The model that a factory builds, on its own device, with real values; a model is returned as it is.

    Raises:
        RecordingError: the factory raised, needs arguments, or returned no ``nn.Module``.
    """
    if isinstance(factory, nn.Module):
        return factory
    with random_state_kept():
        try:
            model = factory()
        except Exception as error:
            raise RecordingError(_explain(factory, error), see="inputs") from error
    if not isinstance(model, nn.Module):
        raise RecordingError(
            f"{name_of(factory)} returned {type(model).__name__}, not an nn.Module; "
            "give a function that builds the model, or the model itself",
            see="inputs",
        )
    return model


class Subject:
    """The model under test, built from a factory at most once with values and once without."""

    def __init__(self, model: nn.Module | Callable[[], nn.Module]) -> None:
        self._factory = None if isinstance(model, nn.Module) else model
        self._built = model if isinstance(model, nn.Module) else None
        self._on_meta: nn.Module | None = None
        self._tried_meta = False

    def on(self, place: Placement) -> nn.Module:
        """The model to record on a placement; without memory where that placement needs none.

        Raises:
            RecordingError: it could not be built.
            NoValuesError: its values do not fit into this machine's memory.
        """
        if not place.has_values and self._built is None:
            on_meta = self._without_values()
            if on_meta is not None:
                return on_meta
        if self._built is None:
            assert self._factory is not None
            if self._on_meta is not None:
                _refuse_too_large(self._on_meta)
            self._built = build(self._factory)
        return self._built

    def _without_values(self) -> nn.Module | None:
        """The model built on meta, or ``None`` where its constructor needs values."""
        if not self._tried_meta and self._factory is not None:
            self._tried_meta = True
            with suppress(RecordingError), torch.device("meta"):
                self._on_meta = build(self._factory)
        return self._on_meta


def saved_state(model: nn.Module | Callable[[], nn.Module]) -> tuple[StateTensor, ...]:
    """The tensors of a model's state dict, built without memory where its constructor lets us.

    Raises:
        RecordingError: it could not be built.
    """
    built = Subject(model).on(Placement("meta", torch.device("meta")))
    first: dict[int, str] = {}
    found = []
    for name, tensor in built.state_dict(keep_vars=True).items():
        if isinstance(tensor, torch.Tensor):
            kind = "param" if isinstance(tensor, nn.Parameter) else "buffer"
            tied = first.setdefault(id(tensor), name)
            spec = TensorSpec(tuple(tensor.shape), str(tensor.dtype).removeprefix("torch."))
            found.append(StateTensor(name, kind, spec, tensor.requires_grad, None if tied == name else tied))
    return tuple(found)


def _refuse_too_large(model: nn.Module) -> None:
    needed = sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))
    memory = _memory_of_machine()
    if memory is not None and needed > memory:
        raise NoValuesError(
            f"{type(model).__name__} holds {needed / 2**30:,.1f} GiB of parameters and buffers, "
            f"and this machine has {memory / 2**30:,.1f} GiB of memory\n"
            "  do: record on meta or fake, which need none",
            see="inputs",
        )


def _memory_of_machine() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):  # not every system says
        return None


def _explain(factory: Callable[..., Any], error: Exception) -> str:
    name = name_of(factory)
    try:
        inspect.signature(factory).bind()
    except TypeError as missing:
        if name == "<lambda>":
            advice = (
                "give one that needs none; for a parametrised test give each parameter set its model, "
                "pytest.param(…, marks=arch(…)), or write a fixture arch_model that takes the parameter"
            )
        else:
            advice = (
                f"give a function that calls it with them: in a test lambda: {name}(…), on a command line the name of "
                f"one that you wrote, as in def small(): return {name}(…)"
            )
        return f"{name} cannot be called without arguments: {missing}; {advice}"
    except ValueError:
        pass
    return (
        f"{name} raised while it built the model: {type(error).__name__}: {error}{place_in_project(error)}\n"
        f"  do: mend it, or give a function that builds the model in another way"
    )


def name_of(model: Any) -> str:
    """A module by its class, a factory by its own name."""
    if isinstance(model, nn.Module):
        return type(model).__name__
    return getattr(model, "__qualname__", None) or repr(model)
