"""The detector as it is trained."""

from __future__ import annotations

from collections.abc import Sequence

import timm
import torch
import torch.nn.functional as F
from torch import nn

LEVELS = (2, 3, 4)
"""Which of the backbone's feature maps the head takes: strides 8, 16 and 32."""
FROZEN = ("conv1.", "bn1.", "layer1.")
"""What keeps its pretrained weights: the first layers, as usual when there are few images."""


class Head(nn.Module):
    """Adds the coarser maps to the finer ones and scores each position: a class, or none, and a box."""

    def __init__(self, channels: Sequence[int], width: int, classes: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(number, width, 1) for number in channels)
        self.smooth = nn.Conv2d(width, width, 3, padding=1)
        self.scores = nn.Conv2d(width, classes + 1, 1)
        self.boxes = nn.Conv2d(width, 4, 1)

    def forward(self, maps: Sequence[torch.Tensor]) -> dict[str, torch.Tensor]:
        *finer, x = (lateral(features) for lateral, features in zip(self.lateral, maps, strict=True))
        for features in reversed(finer):
            x = features + F.interpolate(x, size=features.shape[-2:])
        x = F.relu(self.smooth(x))
        return {"scores": self.scores(x), "boxes": self.boxes(x)}


class Detector(nn.Module):
    """A backbone from timm and a head."""

    def __init__(self, classes: int, backbone: str = "resnet18", pretrained: bool = True) -> None:
        super().__init__()
        self.backbone = timm.create_model(
            backbone, pretrained=pretrained, features_only=True, out_indices=LEVELS
        )
        self.head = Head(self.backbone.feature_info.channels(), 128, classes)
        for name, parameter in self.backbone.named_parameters():
            parameter.requires_grad = not name.startswith(FROZEN)

    def forward(self, images: torch.Tensor) -> dict[str, torch.Tensor]:
        return self.head(self.backbone(images))
