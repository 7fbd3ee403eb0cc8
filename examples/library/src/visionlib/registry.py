"""Models by name, each with a card of what the documentation promises of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from torch import nn

Builder = TypeVar("Builder", bound=Callable[..., nn.Module])


@dataclass(frozen=True)
class Card:
    """What the documentation says of a model, with a thousand classes and one image."""

    build: Callable[..., nn.Module]
    size: int
    """Height and width of the images."""
    params: str
    macs: str
    depth: int


_CARDS: dict[str, Card] = {}


def register(*, size: int, params: str, macs: str, depth: int) -> Callable[[Builder], Builder]:
    """Put a model into the library, under the name of its function."""

    def put(build: Builder) -> Builder:
        name = build.__name__
        if name in _CARDS:
            raise ValueError(f"there is a model {name} already")
        _CARDS[name] = Card(build, size, params, macs, depth)
        return build

    return put


def cards() -> dict[str, Card]:
    """All models of the library."""
    return dict(_CARDS)


def create(name: str, **options: object) -> nn.Module:
    """A model by its name."""
    return _CARDS[name].build(**options)
