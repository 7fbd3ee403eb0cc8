"""Finds objects of a few classes: a backbone from timm, a head of our own."""

from detector.deployed import Features
from detector.model import Detector

__all__ = ["Detector", "Features"]
