"""Depths against the literature: the papers, MATLAB's and Keras Applications' tables."""

import pytest
import torchvision

from pytest_archcheck import trace
from tests.models import builder, image, recorded

# name: paper, longest-path, convolutions, parameter-modules. Sources: arXiv 1409.1556 (VGG), 1512.03385 (ResNet),
# 1611.05431 (ResNeXt), 1605.07146 (Wide ResNet), 1608.06993 (DenseNet), 1409.4842 (GoogLeNet); MATLAB's table of
# pretrained networks (Inception v3 48, SqueezeNet 18, MobileNet v2 53, EfficientNet-B0 82); Keras Applications'
# column "depth" (ResNet50 107, DenseNet121 242, MobileNetV2 105, InceptionV3 189).
PUBLISHED = {
    "alexnet": (8, 8, 5, 8),
    "vgg11": (11, 11, 8, 11),
    "vgg13": (13, 13, 10, 13),
    "vgg16": (16, 16, 13, 16),
    "vgg19": (19, 19, 16, 19),
    "resnet18": (18, 18, 20, 41),
    "resnet34": (34, 34, 36, 73),
    "resnet50": (50, 50, 53, 107),
    "resnet101": (101, 101, 104, 209),
    "resnet152": (152, 152, 155, 311),
    "resnext50_32x4d": (50, 50, 53, 107),
    "resnext101_64x4d": (101, 101, 104, 209),
    "wide_resnet50_2": (50, 50, 53, 107),
    "densenet121": (121, 121, 120, 242),
    "densenet161": (161, 161, 160, 322),
    "densenet169": (169, 169, 168, 338),
    "densenet201": (201, 201, 200, 402),
    "googlenet": (22, 22, 57, 123),
    "inception_v3": (48, 48, 94, 194),
    "squeezenet1_0": (18, 18, 26, 26),
    "mobilenet_v2": (53, 53, 52, 105),
    "efficientnet_b0": (50, 82, 81, 131),
    "vit_b_16": (50, 50, 1, 77),
    "convnext_tiny": (59, 59, 22, 100),
    "swin_t": (53, 53, 1, 94),
}
CONVENTIONS = ("paper", "longest-path", "convolutions", "parameter-modules")

# arXiv 1512.03385, 1608.06993, 2201.03545, 2103.14030, 2010.11929, 1905.11946, 1801.04381, 1905.02244, 2003.13678
STAGES = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "densenet121": (6, 12, 24, 16),
    "densenet201": (6, 12, 48, 32),
    "convnext_tiny": (3, 3, 9, 3),
    "swin_t": (2, 2, 6, 2),
    "vit_b_16": (12,),
    "efficientnet_b0": (1, 2, 2, 3, 3, 4, 1),
    "mobilenet_v2": (1, 2, 3, 4, 3, 3, 1),
    "mobilenet_v3_large": (1, 2, 3, 4, 2, 3),
    "shufflenet_v2_x1_0": (4, 8, 4),
    "regnet_x_8gf": (2, 5, 15, 1),
    "alexnet": (),
    "vgg16": (),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_depth_is_as_published(name):
    assert tuple(recorded(name).depth(convention) for convention in CONVENTIONS) == PUBLISHED[name]


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_as_published(name):
    assert recorded(name).stages == STAGES[name]


def test_the_question_of_every_newcomer():
    """ResNet-18 prints 52 leaf modules, of which 41 have parameters and 21 weigh; 18 lie in sequence."""
    resnet = recorded("resnet18")

    assert [
        resnet.depth(convention)
        for convention in ("leaf-modules", "parameter-modules", "weighted", "paper", "blocks")
    ] == [52, 41, 21, 18, 8]


def test_depth_does_not_depend_on_auxiliary_heads():
    """GoogLeNet in training mode runs two more classifiers, which the paper leaves out."""
    training = trace(builder("googlenet"), image("googlenet", 2), train=True)
    explanation = training.explain_depth("paper")
    reasons = {left.name: left.reason for left in explanation.left_out}

    assert explanation.depth == 22
    assert reasons["aux1.fc1"] == "does not feed the main output (an auxiliary head or a dead end)"
    assert len(training.outputs) == 3


def test_layers_that_did_not_run_are_named():
    """In eval mode GoogLeNet's auxiliary heads are declared and not called."""
    left_out = {
        left.name: left.reason for left in recorded("googlenet").explain_depth("convolutions").left_out
    }

    assert left_out["aux1.conv.conv"] == "declared, did not run"


def test_wide_resnets_are_named_after_their_convolutions():
    """WRN-28-10 has 28 convolutions, shortcuts included, and 26 layers in sequence (arXiv 1605.07146)."""
    from tests.graph.nets import wide_resnet

    wide = trace(lambda: wide_resnet(28, 2), (1, 3, 32, 32))

    assert wide.depth("convolutions") == 28
    assert wide.depth("paper") == 26


def test_torchvisions_own_count_of_leaf_modules():
    for name in ("resnet50", "densenet121", "vit_b_16"):
        model = torchvision.models.get_model(name, weights=None)
        leaves = sum(not list(module.children()) for module in model.modules())

        assert recorded(name).depth("leaf-modules") == leaves
