"""A decoder as in GPT-2: norms first, the embedding also the head, a cache of keys and values to write word by word."""

from __future__ import annotations

import torch
from torch import nn

from language.layers import Block, Cache, Config


class Decoder(nn.Module):
    """From tokens to the scores of the token after each."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.places = nn.Embedding(config.positions, config.width)
        self.dropout = nn.Dropout(config.dropout)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)
        self.head = nn.Linear(config.width, config.vocabulary, bias=False)
        self.head.weight = self.tokens.weight
        past = torch.ones(config.positions, config.positions, dtype=torch.bool).tril()
        self.register_buffer("past", past, persistent=False)

    def forward(
        self, tokens: torch.Tensor, caches: list[Cache] | None = None
    ) -> tuple[torch.Tensor, list[Cache]]:
        before = 0 if caches is None else caches[0][0].shape[2]
        now = before + tokens.shape[1]
        x = self.tokens(tokens) + self.places.weight[before:now]
        x = self.dropout(x)
        new = []
        for number, block in enumerate(self.blocks):
            x, cache = block(x, self.past[before:now, :now], None if caches is None else caches[number])
            new.append(cache)
        return self.head(self.norm(x)), new
