"""Costs follow from shapes: they are the same wherever a model is recorded."""

import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import Trace, trace
from tests.models import builder


class Transformer(nn.Module):
    """Torch's own layers, which skip their insides on some devices."""

    def __init__(self):
        super().__init__()
        layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2)
        self.lstm = nn.LSTM(16, 8, bidirectional=True, batch_first=True)

    def forward(self, x):
        return self.lstm(self.encoder(x))[0]


MODELS = {
    "resnet18": (builder("resnet18"), (1, 3, 64, 64)),
    "vit_b_32": (builder("vit_b_32"), (1, 3, 224, 224)),
    "transformer": (Transformer, (2, 5, 16)),
    "retinanet": (
        lambda: torchvision.models.detection.retinanet_resnet50_fpn(
            weights=None, weights_backbone=None, num_classes=3
        ),
        [(3, 64, 64)],
    ),
}


def costs(found):
    """Everything that this room says of a trace."""
    activations = found.activations
    return {
        "macs": found.mac_count.per_call,
        "modules": found.mac_count.per_module,
        "types": found.mac_count.per_type,
        "elementwise": found.mac_count.elementwise,
        "status": found.status,
        "fvcore": found.count("fvcore").per_call,
        "backward": found.backward(input_grad=True).per_call,
        "parameters": (found.params, found.params.per_module, found.params.bytes),
        "size": found.size,
        "activations": (activations.per_call, activations.peak, activations.alive),
    }


@pytest.mark.parametrize(
    ("name", "device"),
    [
        (name, device)
        for name in MODELS
        for device in ("cpu", "fake", "cuda")
        if (name, device) != ("retinanet", "fake")  # it depends on what it detects
    ],
)
def test_costs_are_the_same_on_every_placement(name, device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    model, inputs = MODELS[name]
    first = "cpu" if name == "retinanet" else "meta"

    assert costs(trace(model, inputs, device=device)) == costs(trace(model, inputs, device=first))


@pytest.mark.parametrize("name", MODELS)
def test_costs_are_the_same_when_read_back(name):
    model, inputs = MODELS[name]
    found = trace(model, inputs)

    assert costs(Trace.from_text(found.to_text())) == costs(found)
