"""Small vision models by name: ``visionlib.create("conv_small", classes=10)``."""

from visionlib import convolutions, mixers
from visionlib.registry import Card, cards, create

__all__ = ["Card", "cards", "convolutions", "create", "mixers"]
