"""An encoder of sentences: one vector for each, whatever it is padded with."""

from __future__ import annotations

import torch
from torch import nn

from language.layers import Block, Config


class Encoder(nn.Module):
    """From tokens to one vector: the mean over the positions that ``mask`` keeps."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.places = nn.Embedding(config.positions, config.width)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))
        self.norm = nn.LayerNorm(config.width)

    def forward(self, tokens: torch.Tensor, *, mask: torch.Tensor) -> torch.Tensor:
        x = self.tokens(tokens) + self.places.weight[: tokens.shape[1]]
        for block in self.blocks:
            x, _ = block(x, mask[:, None, None])
        kept = mask.unsqueeze(-1)
        return (self.norm(x) * kept).sum(1) / kept.sum(1)
