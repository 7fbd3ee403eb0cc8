"""What the decoder and the encoder are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import nn

Cache: TypeAlias = tuple[torch.Tensor, torch.Tensor]
"""Keys and values of the positions before, each ``[batch, heads, positions, width of a head]``."""


@dataclass(frozen=True)
class Config:
    """The sizes of a model."""

    vocabulary: int = 1000
    positions: int = 128
    layers: int = 4
    heads: int = 4
    width: int = 64
    dropout: float = 0.1


class Attention(nn.Module):
    """Self-attention; ``mask`` is true where a position may look."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.qkv = nn.Linear(config.width, 3 * config.width)
        self.out = nn.Linear(config.width, config.width)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None, cache: Cache | None = None
    ) -> tuple[torch.Tensor, Cache]:
        query, key, value = (part.unflatten(-1, (self.heads, -1)) for part in self.qkv(x).chunk(3, dim=-1))
        query, key, value = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)
        if cache is not None:
            key, value = torch.cat((cache[0], key), dim=2), torch.cat((cache[1], value), dim=2)
        dropout = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=mask, dropout_p=dropout)
        return self.out(mixed.transpose(1, 2).flatten(2)), (key, value)


class Block(nn.Module):
    """Attention and a feed-forward net, each after a norm and beside a shortcut."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Attention(config)
        self.norm2 = nn.LayerNorm(config.width)
        self.up = nn.Linear(config.width, 4 * config.width)
        self.down = nn.Linear(4 * config.width, config.width)
        self.dropout = nn.Dropout(config.dropout)

    def forward(
        self, x: torch.Tensor, mask: torch.Tensor | None, cache: Cache | None = None
    ) -> tuple[torch.Tensor, Cache]:
        mixed, cache = self.attention(self.norm1(x), mask, cache)
        x = x + self.dropout(mixed)
        return x + self.dropout(self.down(F.gelu(self.up(self.norm2(x))))), cache
