"""Depths against the literature: the papers, MATLAB's and Keras Applications' tables."""

import functools

import pytest
import torch
import torchvision

from pytest_archcheck import trace
from tests.graph import nets
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
    "resnext101_32x8d": (101, 101, 104, 209),
    "resnext101_64x4d": (101, 101, 104, 209),
    "wide_resnet50_2": (50, 50, 53, 107),
    "wide_resnet101_2": (101, 101, 104, 209),
    "densenet121": (121, 121, 120, 242),
    "densenet161": (161, 161, 160, 322),
    "densenet169": (169, 169, 168, 338),
    "densenet201": (201, 201, 200, 402),
    "googlenet": (22, 22, 57, 123),
    "inception_v3": (48, 48, 94, 194),
    "squeezenet1_0": (18, 18, 26, 26),
    "squeezenet1_1": (18, 18, 26, 26),
    "mobilenet_v2": (53, 53, 52, 105),
    "efficientnet_b0": (50, 82, 81, 131),
    "vit_b_16": (50, 50, 1, 77),
    "vit_l_16": (98, 98, 1, 149),
    "vit_h_14": (130, 130, 1, 197),
    "convnext_tiny": (59, 59, 22, 100),
    "swin_t": (53, 53, 1, 94),
}
CONVENTIONS = ("paper", "longest-path", "convolutions", "parameter-modules")

# Sources: arXiv 1512.03385 (ResNet), 1608.06993 (DenseNet), 2201.03545 (ConvNeXt), 2103.14030 (Swin), 2010.11929
# (ViT), 1905.11946 and 2104.00298 (EfficientNet), 1801.04381 and 1905.02244 (MobileNet), 1807.11626 (MNASNet),
# 1807.11164 (ShuffleNet), 2003.13678 (RegNet), 2204.01697 (MaxViT).
STAGES = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
    "densenet121": (6, 12, 24, 16),
    "densenet169": (6, 12, 32, 32),
    "densenet201": (6, 12, 48, 32),
    "convnext_tiny": (3, 3, 9, 3),
    "convnext_small": (3, 3, 27, 3),
    "convnext_base": (3, 3, 27, 3),
    "convnext_large": (3, 3, 27, 3),
    "swin_t": (2, 2, 6, 2),
    "swin_s": (2, 2, 18, 2),
    "swin_b": (2, 2, 18, 2),
    "vit_b_16": (12,),
    "vit_l_16": (24,),
    "vit_h_14": (32,),
    "efficientnet_b0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_b7": (4, 7, 7, 10, 10, 13, 4),
    "efficientnet_v2_s": (2, 4, 4, 6, 9, 15),
    "mobilenet_v2": (1, 2, 3, 4, 3, 3, 1),
    "mobilenet_v3_large": (1, 2, 3, 4, 2, 3),
    "mnasnet1_0": (3, 3, 3, 2, 4, 1),
    "shufflenet_v2_x1_0": (4, 8, 4),
    "regnet_x_8gf": (2, 5, 15, 1),
    "regnet_y_400mf": (1, 3, 6, 6),
    "regnet_y_32gf": (2, 5, 12, 1),
    "maxvit_t": (2, 2, 5, 2),
    "alexnet": (),
    "vgg11": (),
    "vgg13": (),
    "vgg16": (),
    "vgg19": (),
}

DIGIT, SMALL, IMAGE = (1, 1, 32, 32), (1, 3, 32, 32), (1, 3, 224, 224)
# name: factory, shape of an image, published depths. LeNet-5 has seven layers by its authors' count, two of them
# subsampling; a ResNet-D measures N + 2 for the two convolutions that its stem has more; the 16 gates of
# SE-ResNet-50 are two layers each.
REBUILT = {
    "LeNet-5": (nets.lenet5, DIGIT, {"paper": 5, "parameter-modules": 7}),
    "DarkNet-19": (nets.darknet19, IMAGE, {"paper": 19, "convolutions": 19}),
    "DarkNet-53": (nets.darknet53, IMAGE, {"paper": 53, "convolutions": 52}),
    "MobileNet": (nets.mobilenet, IMAGE, {"paper": 28}),
    "ShuffleNet": (nets.shufflenet, IMAGE, {"paper": 50}),
    "WRN-16-8": (functools.partial(nets.wide_resnet, 16, 8), SMALL, {"convolutions": 16, "paper": 14}),
    "WRN-28-10": (functools.partial(nets.wide_resnet, 28, 10), SMALL, {"convolutions": 28, "paper": 26}),
    "WRN-40-4": (functools.partial(nets.wide_resnet, 40, 4), SMALL, {"convolutions": 40, "paper": 38}),
    "ResNet-50-D": (nets.resnet50d, IMAGE, {"paper": 50 + 2}),
    "SE-ResNet-50": (nets.se_resnet50, IMAGE, {"paper": 50, "longest-path": 50 + 2 * 16}),
    "DPN-92": (nets.dpn92, IMAGE, {"paper": 92}),
}
REBUILT_STAGES = {
    "LeNet-5": (),
    "DarkNet-53": (1, 2, 8, 8, 4),
    "ShuffleNet": (4, 8, 4),
    "WRN-16-8": (2, 2, 2),
    "WRN-28-10": (4, 4, 4),
    "WRN-40-4": (6, 6, 6),
    "ResNet-50-D": (3, 4, 6, 3),
    "SE-ResNet-50": (3, 4, 6, 3),
}


@functools.cache
def rebuilt(name):
    """The trace of a net that is rebuilt from its paper."""
    build, shape, _ = REBUILT[name]
    return trace(build, shape)


@functools.cache
def training(name):
    """The trace of a training step's forward, which runs the auxiliary heads."""
    return trace(builder(name), image(name, 2), train=True)


@pytest.mark.parametrize("name", PUBLISHED)
def test_depth_is_as_published(name):
    assert tuple(recorded(name).depth(convention) for convention in CONVENTIONS) == PUBLISHED[name]


@pytest.mark.parametrize("name", STAGES)
def test_stages_are_as_published(name):
    assert recorded(name).stages == STAGES[name]


@pytest.mark.parametrize("name", REBUILT)
def test_depth_of_a_rebuilt_net_is_as_published(name):
    published = REBUILT[name][2]

    assert {convention: rebuilt(name).depth(convention) for convention in published} == published


@pytest.mark.parametrize("name", REBUILT_STAGES)
def test_stages_of_a_rebuilt_net_are_as_published(name):
    assert rebuilt(name).stages == REBUILT_STAGES[name]


def test_the_question_of_every_newcomer():
    """ResNet-18 prints 52 leaf modules, of which 41 have parameters and 21 weigh; 18 lie in sequence."""
    resnet = recorded("resnet18")

    assert [
        resnet.depth(convention)
        for convention in ("leaf-modules", "parameter-modules", "weighted", "paper", "blocks")
    ] == [52, 41, 21, 18, 8]


@pytest.mark.parametrize(("name", "depth", "heads"), [("googlenet", 22, 2), ("inception_v3", 48, 1)])
def test_depth_does_not_depend_on_auxiliary_heads(name, depth, heads):
    """In training mode more classifiers run, which the papers leave out."""
    assert training(name).depth("paper") == depth
    assert len(training(name).outputs) == 1 + heads


@pytest.mark.parametrize(("name", "run", "declared"), [("googlenet", 57, 59), ("inception_v3", 94, 96)])
def test_convolutions_of_auxiliary_heads_are_declared_and_run_in_training(name, run, declared):
    """Only what ran is counted; in training mode that is every convolution declared."""
    convolutions = [module.name for module in recorded(name).modules if module.type == "Conv2d"]

    assert len(convolutions) == declared
    assert recorded(name).depth("convolutions") == run
    assert training(name).depth("convolutions") == declared


def test_keras_counts_inception_v3_without_its_auxiliary_head():
    """The head has five modules with parameters: two convolutions, their norms and a classifier."""
    without = recorded("inception_v3", aux_logits=False)

    assert without.depth("parameter-modules") == 189
    assert recorded("inception_v3", aux_logits=True).depth("parameter-modules") == 194
    assert without.depth("paper") == 48


def test_layers_of_an_auxiliary_head_are_left_out_with_their_reason():
    left_out = {left.name: left.reason for left in training("googlenet").explain_depth("paper").left_out}

    assert "auxiliary head" in left_out["aux1.fc1"]


def test_layers_that_did_not_run_are_named():
    """In eval mode GoogLeNet's auxiliary heads are declared and not called."""
    left_out = {
        left.name: left.reason for left in recorded("googlenet").explain_depth("convolutions").left_out
    }

    assert left_out["aux1.conv.conv"] == "declared, did not run"


def test_torchvisions_own_count_of_leaf_modules():
    for name in ("resnet50", "densenet121", "vit_b_16"):
        with torch.device("meta"):
            model = torchvision.models.get_model(name, weights=None)
        leaves = sum(not list(module.children()) for module in model.modules())

        assert recorded(name).depth("leaf-modules") == leaves
