"""The architecture that this project promises: five lines a model, and one committed file."""

import os

from resnet import resnet18, resnet50

from pytest_archcheck import arch, arch_depth, arch_layers, arch_macs, arch_output, arch_params, arch_shapes

IMAGE = (1, 3, 224, 224)
STRIDE_ON = os.environ.get("RESNET_STRIDE_ON", "3x3")  # for the demo: what if somebody moves the stride?


@arch(resnet18, inputs=IMAGE)
@arch_depth(18, convention="paper")
@arch_layers(Conv2d=20, Linear=1, BasicBlock=8)
@arch_params(11_689_512)
@arch_macs(1_814_073_344)
@arch_shapes({"layer2.*": ("B", 128, 28, 28), "layer3.0.downsample.0": ("B", 256, 14, 14)})
@arch_output("B", 1000)
def test_resnet18(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@arch(lambda: resnet50(STRIDE_ON), inputs=IMAGE)
@arch_depth(50, convention="paper")
@arch_params(25_557_032)
@arch_output("B", 1000)
def test_resnet50(arch_trace, arch_snapshot):
    assert arch_trace.stages == (3, 4, 6, 3)
    assert arch_trace == arch_snapshot
