"""Parameters and bytes against torch and torchvision."""

import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import trace
from tests.models import recorded


@pytest.mark.parametrize("name", ["alexnet", "densenet121", "resnet50", "vgg11", "vit_b_16"])
def test_the_state_is_as_large_as_the_published_file(name):
    """Within 0.5 %: a file adds its headers."""
    meta = torchvision.models.get_model_weights(name).IMAGENET1K_V1.meta

    assert recorded(name).size / 2**20 == pytest.approx(meta["_file_size"], rel=0.005)


def test_bytes_are_those_of_the_tensors():
    """Half precision, integers and booleans, what is not saved left out, tied tensors once."""

    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 4).half()
            self.tied = self.fc
            self.register_buffer("mask", torch.zeros(5, dtype=torch.bool))
            self.register_buffer("scratch", torch.zeros(100), persistent=False)

        def forward(self, x):
            return self.fc(x)

    model = Mixed()
    unique = {id(t): t for t in model.state_dict(keep_vars=True).values()}.values()

    assert trace(model, (2, 4)).size == sum(t.numel() * t.element_size() for t in unique) == 45


def test_counts_agree_with_the_module():
    model = torchvision.models.mobilenet_v3_small()
    model.features.requires_grad_(False)
    params = trace(model, (1, 3, 64, 64)).params

    assert params.total == sum(p.numel() for p in model.parameters())
    assert params.trainable == sum(p.numel() for p in model.parameters() if p.requires_grad)
    assert params.buffers == sum(b.numel() for b in model.buffers())
