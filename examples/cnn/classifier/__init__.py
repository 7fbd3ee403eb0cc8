"""Residual nets for 32×32 images."""

from classifier.net import ResidualNet

__all__ = ["ResidualNet"]
