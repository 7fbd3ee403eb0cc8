"""The backbone written out, for the device, where timm is not installed."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class Unit(nn.Module):
    """A convolution and its norm."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.norm(self.conv(x))


class Block(nn.Module):
    """Two 3×3 convolutions beside a shortcut, which projects where the shape changes."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = Unit(inputs, outputs, 3, stride)
        self.second = Unit(outputs, outputs, 3, 1)
        self.project = Unit(inputs, outputs, 1, stride) if stride > 1 else nn.Identity()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.project(x) + self.second(F.relu(self.first(x))))


class Features(nn.Module):
    """The maps of ResNet-18 with strides 8, 16 and 32."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = Unit(3, 64, 7, 2)
        self.stages = nn.ModuleList(
            nn.Sequential(Block(inputs, outputs, stride), Block(outputs, outputs, 1))
            for inputs, outputs, stride in ((64, 64, 1), (64, 128, 2), (128, 256, 2), (256, 512, 2))
        )

    def forward(self, images: torch.Tensor) -> list[torch.Tensor]:
        x = F.max_pool2d(F.relu(self.stem(images)), 3, stride=2, padding=1)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps[1:]
