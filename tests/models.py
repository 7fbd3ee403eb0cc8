"""Real models for the tests, recorded once a process and built without memory where that works."""

from __future__ import annotations

import functools
from pathlib import Path

import torchvision

from pytest_archcheck import Trace, trace

EXAMPLE = Path(__file__).parents[1] / "examples" / "resnet"
"""The example project: a ResNet written from the paper, with its tests and snapshots."""

_OPTIONS = {
    "googlenet": {"init_weights": False},
    "inception_v3": {"init_weights": False},
}


def builder(name, **options):
    """A factory for one of torchvision's classification models, without weights."""
    options = _OPTIONS.get(name, {}) | options
    return functools.partial(torchvision.models.get_model, name, weights=None, **options)


def image(name, batch=1):
    """The shape of an input image at the size that the published figures are for."""
    size = 299 if name == "inception_v3" else 224
    return (batch, 3, size, size)


@functools.cache
def recorded(name: str, **options: bool) -> Trace:
    """The trace of one of torchvision's classification models."""
    return trace(builder(name, **options), image(name))
