"""A decoder that writes text and an encoder that reads it."""

from language.decoder import Decoder
from language.encoder import Encoder
from language.layers import Config

__all__ = ["Config", "Decoder", "Encoder"]
