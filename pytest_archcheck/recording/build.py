"""Build a model from a factory without leaving a mark on the random state."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.placements import random_state_kept


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
    with random_state_kept("cpu"):
        try:
            model = factory()
        except Exception as error:
            raise RecordingError(_explain(factory, error)) from error
    if not isinstance(model, nn.Module):
        raise RecordingError(
            f"{_name(factory)} returned {type(model).__name__}, not an nn.Module; "
            "give a function that builds the model, or the model itself"
        )
    return model


def build_on_meta(factory: nn.Module | Callable[[], nn.Module]) -> nn.Module | None:
    """The model built without memory, or ``None`` where its constructor needs values."""
    try:
        with torch.device("meta"):
            return build(factory)
    except RecordingError:
        return None


def _explain(factory: Callable[..., Any], error: Exception) -> str:
    name = _name(factory)
    try:
        inspect.signature(factory).bind()
    except TypeError as missing:
        return (
            f"{name} cannot be called without arguments: {missing}; "
            f"give a factory that can, as in lambda: {name}(…)"
        )
    except ValueError:
        pass
    return f"{name} raised while it built the model: {type(error).__name__}: {error}"


def _name(factory: Any) -> str:
    return getattr(factory, "__qualname__", None) or repr(factory)
