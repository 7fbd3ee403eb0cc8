"""What a model might be called with, guessed from its first layer, its configuration and its forward's signature."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.inputs import Spec, spec
from pytest_archcheck.recording import trace
from pytest_archcheck.recording.build import Subject
from pytest_archcheck.recording.placements import placement
from pytest_archcheck.traces import Trace

_IMAGES = (224, 32, 28, 64, 96, 128, 256, 299, 384, 512, 84, 48)
"""Sides of images that common datasets and papers have, the usual one first."""
_LENGTHS = (128, 64, 32, 16, 1024, 16_000)
_TOKENS = (128, 64, 32, 16, 8)
_VOLUMES = ((16, 112, 112), (32, 32, 32), (64, 64, 64))
_STEMS = (nn.modules.conv._ConvNd, nn.Linear, nn.Embedding, nn.RNNBase, nn.TransformerEncoderLayer)


@dataclass(frozen=True)
class Guess:
    """Positional and keyword inputs, and in words what they were guessed from."""

    inputs: tuple[Spec, ...]
    why: str
    kwargs: dict[str, Spec] = field(default_factory=dict)


def is_model(thing: Any) -> bool:
    """Whether a thing is a module, or a class of modules."""
    return isinstance(thing, nn.Module) or (isinstance(thing, type) and issubclass(thing, nn.Module))


def recorded_as_guessed(model: nn.Module | Callable[[], nn.Module]) -> tuple[Trace, Guess] | None:
    """The trace with the first guess that the model takes, and that guess; ``None`` where it takes none.

    Raises:
        RecordingError: the model cannot be built.
    """
    built = Subject(model).on(placement("meta"))
    found = list(guesses(built))
    for device, tried in (("meta", found), ("auto", found[:2])):  # those that need values take longer
        for guess in tried:
            try:
                return trace(model, guess.inputs, kwargs=guess.kwargs or None, device=device), guess
            except RecordingError:
                continue
    return None


def forward_of(model: nn.Module | Callable[[], nn.Module]) -> Callable[..., Any]:
    """The forward of a model, or of what a factory builds."""
    return Subject(model).on(placement("meta")).forward


def guesses(model: nn.Module) -> Iterator[Guess]:
    """What a model might take, the likeliest first."""
    yield from _by_configuration(model)
    number = _required(model)
    for guess in _by_first_layer(model):
        yield Guess(guess.inputs * number, guess.why)


def _by_configuration(model: nn.Module) -> Iterator[Guess]:
    """What transformers, timm and others state of their models."""
    config = getattr(model, "config", None)
    name = str(getattr(model, "main_input_name", ""))
    tokens = getattr(config, "vocab_size", None)
    if name == "input_ids" and isinstance(tokens, int):
        length = min(getattr(config, "max_position_embeddings", None) or 128, 128)
        yield Guess((), "its config", {name: spec(1, length, dtype="int64", high=tokens)})
    cfg = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", None) or {}
    size = cfg.get("input_size") if isinstance(cfg, dict) else None
    if isinstance(size, tuple | list) and len(size) == 3:
        yield Guess((spec(1, *size),), "its pretrained_cfg")
    stem = next((m for m in model.modules() if isinstance(m, nn.Conv2d)), None)
    for module in (*model.modules(), config):
        side = getattr(module, "image_size", None) or getattr(module, "img_size", None)
        sides = tuple(side) if isinstance(side, tuple | list) else (side, side)
        if stem is not None and len(sides) == 2 and all(type(one) is int for one in sides):
            shape = spec(1, stem.in_channels, *sides)
            yield (
                Guess((), "its image size", {name: shape})
                if name == "pixel_values"
                else Guess((shape,), "its image size")
            )
            return


def _by_first_layer(model: nn.Module) -> Iterator[Guess]:
    named = ((name, module) for name, module in model.named_modules() if isinstance(module, _STEMS))
    name, stem = next(named, ("", None))
    why = f"its first layer, {name or type(stem).__name__}"
    for shape in _shapes(stem):
        yield Guess((spec(1, *shape),), why)
    if isinstance(stem, nn.Embedding):
        for length in _TOKENS:
            yield Guess((spec(1, length, dtype="int64", high=stem.num_embeddings),), why)


def _shapes(stem: nn.Module | None) -> Iterator[tuple[int, ...]]:
    """Shapes without the batch that a layer takes."""
    if isinstance(stem, nn.modules.conv._ConvNd):
        channels = stem.in_channels
        if len(stem.kernel_size) == 1:
            yield from ((channels, length) for length in _LENGTHS)
        elif len(stem.kernel_size) == 2:
            # a stem that keeps the resolution is that of small images
            is_small = stem.stride == (1, 1) and max(stem.kernel_size) < 7
            sides = sorted(_IMAGES, key=lambda side: side != 32) if is_small else _IMAGES
            yield from ((channels, side, side) for side in sides)
        else:
            yield from ((channels, *volume) for volume in _VOLUMES)
    elif isinstance(stem, nn.Linear):
        yield (stem.in_features,)
        yield from ((length, stem.in_features) for length in (16,))
        side = round((stem.in_features) ** 0.5)
        if side * side == stem.in_features:  # a flattened image
            yield (1, side, side)
    elif isinstance(stem, nn.RNNBase):
        yield (16, stem.input_size)
    elif isinstance(stem, nn.TransformerEncoderLayer):
        yield (16, stem.self_attn.embed_dim)


def _required(model: nn.Module) -> int:
    """How many positional arguments a forward needs, one at least."""
    try:
        parameters = inspect.signature(model.forward).parameters.values()
    except (TypeError, ValueError):
        return 1
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return max(sum(p.default is p.empty and p.kind in kinds for p in parameters), 1)
