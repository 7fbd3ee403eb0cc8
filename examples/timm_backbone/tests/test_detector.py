"""The detector, its frozen layers, and its backbone as the device has it."""

import json
from functools import partial
from pathlib import Path

import timm
import torch
from detector import Detector, Features

from pytest_archcheck import (
    arch,
    arch_checkpoint,
    arch_frozen,
    arch_no_unused,
    arch_output,
    arch_receptive_field,
    arch_same_as,
    arch_shapes,
    arch_shapes_for,
    arch_stages,
    trace,
)

IMAGE = (1, 3, 256, 256)
KEYS = json.loads((Path(__file__).parent / "resnet18.keys.json").read_text("utf-8"))
"""Names and shapes of the tensors of the checkpoint that training starts from."""

detector = partial(Detector, classes=20, pretrained=False)
timms = partial(timm.create_model, "resnet18", pretrained=False, features_only=True, out_indices=(2, 3, 4))


@arch(detector, inputs=IMAGE)
@arch_stages((2, 2, 2, 2))
@arch_shapes(
    {
        "backbone.layer2": ("B", 128, 32, 32),
        "backbone.layer3": ("B", 256, 16, 16),
        "backbone.layer4": ("B", 512, 8, 8),
        "head.smooth": ("B", 128, 32, 32),
    }
)
@arch_output("B", 21, 32, 32, path="scores")
@arch_output("B", 4, 32, 32, path="boxes")
def test_detector(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@arch(detector, inputs=IMAGE, train=True)
@arch_frozen("backbone.conv1.**", "backbone.bn1.**", "backbone.layer1.**")
@arch_no_unused()
def test_the_first_layers_keep_their_weights():
    pass


@arch(partial(timm.create_model, "resnet18", pretrained=False), inputs=IMAGE)
@arch_checkpoint(KEYS)
def test_the_checkpoint_fits_this_release_of_timm():
    pass


@arch(Features, inputs=IMAGE)
@arch_same_as(timms)
@arch_receptive_field(435, stride=32, at="stages.3")
@arch_shapes_for("B 3 H W", "B 128 H/8 W/8", B=(1, 4), H=(256, 320), W=(256, 512))
def test_the_device_has_the_same_backbone():
    pass


def test_trained_weights_move_to_the_device():
    """What the match of two traces is good for: the names of the one state dict in those of the other."""
    trained, deployed = timms().eval(), Features().eval()
    match = trace(deployed, IMAGE).same_as(trace(trained, IMAGE))
    deployed.load_state_dict(match.mapping.inverse.rename(trained.state_dict()))
    image = torch.randn(1, 3, 64, 64)

    for ours, theirs in zip(deployed(image), trained(image), strict=True):
        torch.testing.assert_close(ours, theirs)
