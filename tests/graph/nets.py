"""Small nets rebuilt from their papers."""

import torch
from torch import nn


class WideBlock(nn.Module):
    """Pre-activation block of Wide ResNet, arXiv 1605.07146."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.project = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x):
        active = torch.relu(self.bn1(x))
        out = self.conv2(torch.relu(self.bn2(self.conv1(active))))
        return out + (x if self.project is None else self.project(active))


def wide_resnet(depth, factor):
    """WRN-depth-factor for 32×32 images."""
    blocks = (depth - 4) // 6
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False)]
    inputs = 16
    for stage, width in enumerate((16, 32, 64)):
        for index in range(blocks):
            stride = 2 if stage and index == 0 else 1
            layers.append(WideBlock(inputs, width * factor, stride))
            inputs = width * factor
    layers += [
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(inputs, 10),
    ]
    return nn.Sequential(*layers)
