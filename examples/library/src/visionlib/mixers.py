"""Models on patches: one mixes them by linear layers, one by attention."""

from __future__ import annotations

import torch
from torch import nn

from visionlib.layers import FeedForward
from visionlib.registry import register


class MixerBlock(nn.Module):
    def __init__(self, width: int, patches: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.across = FeedForward(patches, 2 * patches)
        self.norm2 = nn.LayerNorm(width)
        self.feed = FeedForward(width, 4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.across(self.norm1(x).mT).mT
        return x + self.feed(self.norm2(x))


class AttentionBlock(nn.Module):
    def __init__(self, width: int, patches: int) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = nn.MultiheadAttention(width, num_heads=4, batch_first=True)
        self.norm2 = nn.LayerNorm(width)
        self.feed = FeedForward(width, 4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        normed = self.norm1(x)
        x = x + self.attention(normed, normed, normed, need_weights=False)[0]
        return x + self.feed(self.norm2(x))


class PatchNet(nn.Module):
    def __init__(
        self, block: type[MixerBlock | AttentionBlock], blocks: int, width: int, patches: int, classes: int
    ) -> None:
        super().__init__()
        self.embed = nn.Conv2d(3, width, 8, stride=8)
        self.places = nn.Parameter(torch.zeros(patches, width))
        self.blocks = nn.Sequential(*(block(width, patches) for _ in range(blocks)))
        self.norm = nn.LayerNorm(width)
        self.head = nn.Linear(width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        patches = self.embed(images).flatten(2).mT + self.places
        return self.head(self.norm(self.blocks(patches)).mean(dim=1))


@register(size=64, params="0.49M", macs="26.4M", depth=18)
def mixer_small(classes: int = 1000) -> PatchNet:
    return PatchNet(MixerBlock, 4, 96, 64, classes)


@register(size=64, params="0.57M", macs="32.7M", depth=18)
def attention_small(classes: int = 1000) -> PatchNet:
    return PatchNet(AttentionBlock, 4, 96, 64, classes)
