"""The residual nets for CIFAR-10 of "Deep Residual Learning for Image Recognition", section 4.2 (arXiv 1512.03385).

A 3×3 convolution, three stages of blocks on maps of 32, 16 and 8, a global average and a linear layer: 6n + 2 layers.
Shortcuts have no parameters (option A): where a stage begins, every second position is taken and the new channels are
zero.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False)


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.stride = stride
        self.new_channels = outputs - inputs
        self.conv1 = conv3x3(inputs, outputs, stride)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = conv3x3(outputs, outputs)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + self.shortcut(x))

    def shortcut(self, x: torch.Tensor) -> torch.Tensor:
        if not self.new_channels:
            return x
        before = self.new_channels // 2
        return F.pad(
            x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, self.new_channels - before)
        )


class ResidualNet(nn.Module):
    """``6 * blocks + 2`` layers; ``width`` channels in the first stage, twice as many in each later one."""

    def __init__(self, blocks: int, width: int, classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.stem = nn.Sequential(conv3x3(3, width), nn.BatchNorm2d(width), nn.ReLU())
        self.stage1 = stage(blocks, width, width, stride=1)
        self.stage2 = stage(blocks, width, 2 * width, stride=2)
        self.stage3 = stage(blocks, 2 * width, 4 * width, stride=2)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(4 * width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        features = self.stage3(self.stage2(self.stage1(self.stem(images))))
        return self.head(self.dropout(features.mean(dim=(2, 3))))


def stage(blocks: int, inputs: int, outputs: int, stride: int) -> nn.Sequential:
    first = Block(inputs, outputs, stride)
    return nn.Sequential(first, *(Block(outputs, outputs, 1) for _ in range(blocks - 1)))
