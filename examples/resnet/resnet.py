"""ResNet for ImageNet, written from table 1 of "Deep Residual Learning for Image Recognition".

arXiv 1512.03385. Attribute names are torchvision's, so that its checkpoints load.

The paper's bottleneck puts a stage's stride on its first 1×1 convolution (v1). Most implementations since put it
on the 3×3 convolution (v1.5). Both have the same parameters, the same state-dict keys and the same output
shape; ``stride_on`` chooses.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import nn

StrideOn = Literal["3x3", "1x1"]


def conv(inputs: int, outputs: int, kernel: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


class BasicBlock(nn.Module):
    """Two 3×3 convolutions, for ResNet-18 and -34."""

    expansion = 1

    def __init__(self, inputs: int, width: int, stride: int, stride_on: StrideOn = "3x3") -> None:
        super().__init__()
        self.conv1 = conv(inputs, width, 3, stride)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv(width, width, 3)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = projection(inputs, width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return self.relu(out + shortcut)


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions, for ResNet-50, -101 and -152."""

    expansion = 4

    def __init__(self, inputs: int, width: int, stride: int, stride_on: StrideOn = "3x3") -> None:
        super().__init__()
        first, second = (1, stride) if stride_on == "3x3" else (stride, 1)
        self.conv1 = conv(inputs, width, 1, first)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = conv(width, width, 3, second)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = conv(width, 4 * width, 1)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = projection(inputs, 4 * width, stride)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.relu(self.bn2(self.conv2(out)))
        out = self.bn3(self.conv3(out))
        return self.relu(out + shortcut)


def projection(inputs: int, outputs: int, stride: int) -> nn.Sequential | None:
    """The paper's option B: project where the shape changes, pass through where it does not."""
    if stride == 1 and inputs == outputs:
        return None
    return nn.Sequential(conv(inputs, outputs, 1, stride), nn.BatchNorm2d(outputs))


class ResNet(nn.Module):
    """Stem, four stages of blocks, pooling and one linear layer."""

    def __init__(
        self,
        block: type[BasicBlock | Bottleneck],
        layers: list[int],
        num_classes: int = 1000,
        stride_on: StrideOn = "3x3",
    ) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        inputs = 64
        for stage, number in enumerate(layers, start=1):
            width = 32 * 2**stage
            blocks = []
            for index in range(number):
                stride = 2 if index == 0 and stage > 1 else 1
                blocks.append(block(inputs, width, stride, stride_on))
                inputs = width * block.expansion
            self.add_module(f"layer{stage}", nn.Sequential(*blocks))
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(inputs, num_classes)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(self.avgpool(x).flatten(1))


def resnet18() -> ResNet:
    return ResNet(BasicBlock, [2, 2, 2, 2])


def resnet50(stride_on: StrideOn = "3x3") -> ResNet:
    return ResNet(Bottleneck, [3, 4, 6, 3], stride_on=stride_on)
