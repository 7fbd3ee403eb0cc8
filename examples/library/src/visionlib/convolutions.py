"""Convolutional models: depth-wise convolutions and feed-forward nets on the channels."""

from __future__ import annotations

import torch
from torch import nn

from visionlib.layers import FeedForward, Norm
from visionlib.registry import register


class ConvBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(width, width, 7, padding=3, groups=width)
        self.norm = nn.LayerNorm(width)
        self.feed = FeedForward(width, 4 * width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        mixed = self.norm(self.depthwise(x).permute(0, 2, 3, 1))
        return x + self.feed(mixed).permute(0, 3, 1, 2)


class ConvNet(nn.Module):
    def __init__(self, blocks: tuple[int, ...], widths: tuple[int, ...], classes: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, widths[0], 4, stride=4)]
        for index, (number, width) in enumerate(zip(blocks, widths, strict=True)):
            if index:
                layers += [Norm(widths[index - 1]), nn.Conv2d(widths[index - 1], width, 2, stride=2)]
            layers += [ConvBlock(width) for _ in range(number)]
        self.features = nn.Sequential(*layers)
        self.norm = nn.LayerNorm(widths[-1])
        self.head = nn.Linear(widths[-1], classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.features(images).mean(dim=(2, 3))))


@register(size=64, params="0.3M", macs="22.5M", depth=15)
def conv_small(classes: int = 1000) -> ConvNet:
    return ConvNet((2, 2), (48, 96), classes)


@register(size=64, params="1.26M", macs="43.6M", depth=28)
def conv_base(classes: int = 1000) -> ConvNet:
    return ConvNet((2, 4, 2), (48, 96, 192), classes)
