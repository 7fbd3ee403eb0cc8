"""Blocks: the bottleneck analysis, and stages whose class holds more than its blocks."""

import pytest
from torch import nn

from pytest_archcheck import trace
from tests.models import recorded


def test_the_bottlenecks_of_resnet50():
    """ArXiv 1512.03385, table 1: inner widths 64 to 512; the first block of a stage changes the shape.

    In stage 1 it projects at stride 1, in the others it halves the resolution, and does so on its 3×3 (v1.5).
    """
    blocks = recorded("resnet50").blocks

    assert [b.inner for b in blocks] == [64] * 3 + [128] * 4 + [256] * 6 + [512] * 3
    changing = [b for b in blocks if b.kind == "shape-changing"]
    assert [b.name for b in changing] == ["layer1.0", "layer2.0", "layer3.0", "layer4.0"]
    assert [b.input for b in changing] == [(64, 56, 56), (256, 56, 56), (512, 28, 28), (1024, 14, 14)]
    assert [b.stride for b in changing] == [1, 2, 2, 2]
    assert [b.strided for b in changing] == [
        (),
        ("layer2.0.conv2",),
        ("layer3.0.conv2",),
        ("layer4.0.conv2",),
    ]
    assert all(b.shortcuts == ("projection",) for b in changing)
    rest = [b for b in blocks if b.kind == "shape-keeping"]
    assert all(b.input == b.output and b.stride == 1 and b.shortcuts == ("identity",) for b in rest)


def test_v1_carries_its_stride_on_the_first_convolution(monkeypatch):
    from tests.models import EXAMPLE

    monkeypatch.syspath_prepend(EXAMPLE)
    from resnet import resnet50

    blocks = {b.name: b for b in trace(lambda: resnet50("1x1"), (1, 3, 224, 224)).blocks}

    assert blocks["layer3.0"].strided == ("layer3.0.conv1",)


@pytest.mark.parametrize(
    ("name", "block", "inner"),
    [
        ("resnet18", "layer2.1", 128),
        ("wide_resnet50_2", "layer1.1", 128),  # arXiv 1605.07146: twice ResNet-50's 64
        ("mobilenet_v2", "features.3", 144),  # arXiv 1801.04381: expansion 6 of 24
        ("efficientnet_b0", "features.2.1", 144),
        ("densenet121", "features.denseblock1.denselayer2", 128),  # arXiv 1608.06993: 4k of growth rate 32
        ("vit_b_16", "encoder.layers.encoder_layer_3", 3072),  # arXiv 2010.11929, table 1
        ("convnext_tiny", "features.1.1", 384),  # arXiv 2201.03545: 96, 384, 96
    ],
)
def test_the_width_inside_is_the_papers(name, block, inner):
    assert {b.name: b.inner for b in recorded(name).blocks}[block] == inner


class Block(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.a, self.b = nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, width, 1)

    def forward(self, x):
        return x + self.b(self.a(x).relu())


class Hourglass(nn.Sequential):
    """32 → 16 → 40 → 32: it narrows by 2 and widens by 1.25."""

    def __init__(self):
        super().__init__(nn.Conv2d(32, 16, 1), nn.Conv2d(16, 40, 1), nn.Conv2d(40, 32, 1))


class Wrapped(nn.Module):
    def __init__(self):
        super().__init__()
        self.glass = Hourglass()

    def forward(self, x):
        return x + self.glass(x)


def test_the_width_that_differs_most_is_the_one_inside():
    assert [b.inner for b in trace(nn.Sequential(Wrapped(), Wrapped()), (1, 32, 4, 4)).blocks] == [16, 16]


class Stage(nn.Module):
    """As timm's: a downsampling layer beside a list of blocks."""

    def __init__(self, inputs, width, number):
        super().__init__()
        self.downsample = nn.Conv2d(inputs, width, 2, 2)
        self.blocks = nn.Sequential(*[Block(width) for _ in range(number)])

    def forward(self, x):
        return self.blocks(self.downsample(x))


def test_a_stage_with_a_downsampling_layer_is_seen_through():
    net = trace(nn.Sequential(Stage(3, 4, 3), Stage(4, 8, 1), Stage(8, 16, 2)), (1, 3, 32, 32))

    assert net.stages == (3, 1, 2)


class Expert(nn.Module):
    def __init__(self):
        super().__init__()
        self.up, self.down = nn.Linear(4, 8), nn.Linear(8, 4)

    def forward(self, x):
        return self.down(self.up(x).relu())


class MixtureOfExperts(nn.Module):
    """Most of its weights lie in a list of modules of one class, which run beside one another."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Linear(4, 4)
        self.experts = nn.ModuleList(Expert() for _ in range(4))

    def forward(self, x):
        x = x + self.mix(x)
        return x + sum(expert(x) for expert in self.experts)


class Macro(nn.Module):
    """A short list in sequence, beside layers that weigh more."""

    def __init__(self):
        super().__init__()
        self.mix = nn.Sequential(*[nn.Linear(4, 4) for _ in range(5)])
        self.feed = nn.Sequential(Expert(), Expert())

    def forward(self, x):
        return x + self.feed(x + self.mix(x))


def test_a_block_with_a_short_list_in_it_stays_a_block():
    assert trace(nn.Sequential(*[Macro() for _ in range(3)]), (2, 4)).stages == (3,)


def test_experts_beside_one_another_are_no_stage():
    assert trace(nn.Sequential(*[MixtureOfExperts() for _ in range(3)]), (2, 4)).stages == (3,)


def test_a_model_without_repeated_blocks_has_none():
    assert recorded("vgg16").blocks == ()
