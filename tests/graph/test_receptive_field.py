"""Receptive fields: published figures, and arithmetic worked out by hand."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import trace
from tests.graph.nets import mobilenet
from tests.models import recorded

# Araujo, Norris and Sim, "Computing receptive fields of convolutional neural networks", Distill 2019, table of
# architectures; of ResNet-18 435 by their formula. Their ResNet-50 (483) has its strides on the last block of a stage.
PUBLISHED = {"alexnet": 195, "vgg16": 212, "inception_v3": 1311, "resnet18": 435}


@pytest.mark.parametrize("name", PUBLISHED)
def test_receptive_fields_are_as_published(name):
    field = recorded(name).receptive_field()

    assert field.size == (PUBLISHED[name],) * 2
    assert field.stride == (32, 32)


def test_mobilenet_is_as_published():
    field = trace(mobilenet, (1, 3, 224, 224)).receptive_field()

    assert (field.size, field.stride) == ((315, 315), (32, 32))


def test_what_ends_the_field_is_named():
    assert recorded("resnet18").receptive_field().ended_by == "avgpool"
    assert recorded("vit_b_16").receptive_field().at == "conv_proj"


def test_a_layer_can_be_asked_about_by_the_name_of_its_module():
    """7×7/2, pooling 3×3/2, two blocks of two 3×3: 7 + 2·2 + 4·(2·4) = 43."""
    resnet = recorded("resnet18")

    assert resnet.receptive_field("conv1").size == (7, 7)
    assert resnet.receptive_field("layer1").size == (43, 43)
    with pytest.raises(KeyError, match="layer9"):
        resnet.receptive_field("layer9")


def field(forward, shape=(1, 4, 32, 32)):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.a = nn.Conv2d(4, 4, 3, padding=1)
            self.b = nn.Conv2d(4, 4, (5, 1), stride=(2, 1), padding=(2, 0))
            self.atrous = nn.Conv2d(4, 4, 3, padding=4, dilation=4)
            self.up = nn.ConvTranspose2d(4, 4, 2, stride=2)
            self.point = nn.Linear(4, 4)

        def forward(self, x):
            return forward(self, x)

    found = trace(Net(), shape).receptive_field()
    return None if found is None else (found.size, found.stride)


def test_axes_are_counted_apart():
    """3 and (5, 1): 3 + 4 = 7 by 3; the second stride is on the first axis alone."""
    assert field(lambda net, x: net.b(net.a(x))) == ((7, 3), (2, 1))


def test_dilation_widens_the_window():
    assert field(lambda net, x: net.atrous(net.a(x))) == ((11, 11), (1, 1))


def test_the_widest_path_counts():
    assert field(lambda net, x: net.a(x) + net.a(net.atrous(x)) + x) == ((11, 11), (1, 1))


def test_enlarging_halves_the_stride():
    """Pooling 2/2 is 2, stride 2; the transposed convolution 2/2 sees one position and halves the stride."""
    assert field(lambda net, x: net.up(F.max_pool2d(x, 2))) == ((2, 2), (1, 1))
    assert field(lambda net, x: F.interpolate(F.max_pool2d(x, 2), scale_factor=2)) == ((2, 2), (1, 1))
    assert field(lambda net, x: F.pixel_shuffle(F.max_pool2d(x, 2), 2)) == ((2, 2), (1, 1))


def test_a_slice_with_a_step_is_a_stride():
    assert field(lambda net, x: net.a(net.a(x)[:, :, ::2, ::2])) == ((7, 7), (2, 2))


def test_channels_last_layers_keep_positions():
    """ConvNeXt's order: permute, linear, permute back."""

    def forward(net, x):
        x = net.point(net.a(x).permute(0, 2, 3, 1)).relu()
        return net.a(x.permute(0, 3, 1, 2))

    assert field(forward) == ((5, 5), (1, 1))


class Sliced(nn.Module):
    """A 3×3 convolution over 4 or 16 channels, a 2×2/2 one, and whatever forward a test gives it."""

    def __init__(self, forward):
        super().__init__()
        self.a, self.wide = nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(16, 4, 3, padding=1)
        self.patch, self.merge = nn.Conv2d(4, 4, 2, stride=2), nn.Linear(16, 8)
        self.weight = nn.Parameter(torch.zeros(4, 4))
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def quarters(x, axis):
    """Every second row and column, from each of the four corners."""
    rows = [x[:, :, start::2] if axis == 2 else x[:, start::2] for start in (0, 1)]
    return [row[..., start::2] if axis == 2 else row[:, :, start::2] for row in rows for start in (0, 1)]


SPACE_TO_DEPTH = {
    "a slice before any window": (lambda net, x: net.a(x[:, :, ::2, ::2]), 5, 2),
    "pixel_unshuffle": (lambda net, x: net.wide(F.pixel_unshuffle(x, 2)), 6, 2),
    "views": (
        lambda net, x: net.wide(x.view(1, 4, 16, 2, 16, 2).permute(0, 3, 5, 1, 2, 4).reshape(1, 16, 16, 16)),
        6,
        2,
    ),
    "four slices": (lambda net, x: net.wide(torch.cat(quarters(x, 2), 1)), 6, 2),
    "patch merging": (
        lambda net, x: net.merge(torch.cat(quarters(net.patch(x).permute(0, 2, 3, 1), 1), -1)),
        4,
        4,
    ),
    "neighbours": (lambda net, x: net.a(x)[..., 1:, 1:] - net.a(x)[..., :-1, :-1], 4, 1),
    "a product with a parameter": (
        lambda net, x: net.a((net.a(x).permute(0, 2, 3, 1) @ net.weight).permute(0, 3, 1, 2)),
        5,
        1,
    ),
    "pieces over channels": (lambda net, x: net.a(torch.cat(net.a(x).chunk(2, 1)[::-1], 1)), 5, 1),
    "area": (lambda net, x: F.interpolate(net.a(x), scale_factor=0.25, mode="area"), 6, 4),
    "power pooling": (lambda net, x: F.lp_pool2d(x, 2, 3), 3, 3),
    "flipped channels": (lambda net, x: net.a(net.a(x).flip(1)), 5, 1),
    "the larger of two": (lambda net, x: torch.max(net.a(x), x), 3, 1),
}


@pytest.mark.parametrize("name", SPACE_TO_DEPTH)
def test_where_positions_go_is_followed(name):
    forward, size, stride = SPACE_TO_DEPTH[name]

    found = trace(Sliced(forward), (1, 4, 32, 32)).receptive_field()

    assert (found.size, found.stride, found.ended_by) == ((size, size), (stride, stride), "")


def test_unpooling_puts_values_back():
    """Pooling 2/2 and a 3×3 convolution see 6 positions; unpooling lays them out as they were."""

    class SegNet(nn.Module):
        def __init__(self, modules):
            super().__init__()
            self.conv, self.modular = nn.Conv2d(4, 4, 3, padding=1), modules
            self.pool, self.unpool = nn.MaxPool2d(2, return_indices=True), nn.MaxUnpool2d(2)

        def forward(self, x):
            if self.modular:
                x, places = self.pool(x)
                return self.unpool(self.conv(x), places)
            x, places = F.max_pool2d(x, 2, return_indices=True)
            return F.max_unpool2d(self.conv(x), places, 2)

    fields = [trace(SegNet(modular), (1, 4, 16, 16)).receptive_field() for modular in (True, False)]

    assert [(field.size, field.stride) for field in fields] == [((6, 6), (1, 1))] * 2


@pytest.mark.parametrize("mix", [lambda x: x.cumprod(-1), lambda x: x.topk(32, -1)[0], lambda x: x.mT @ x])
def test_what_mixes_positions_ends_the_field(mix):
    found = trace(Sliced(lambda net, x: mix(net.a(x))), (1, 4, 32, 32)).receptive_field()

    assert found.size == (3, 3)
    assert found.ended_by


def test_a_gate_is_left_out():
    def forward(net, x):
        x = net.a(x)
        return net.a(x * x.mean((2, 3), keepdim=True).sigmoid())

    assert field(forward) == ((5, 5), (1, 1))


def test_global_information_ends_the_field():
    def forward(net, x):
        x = net.a(x)
        return net.a(x + x.mean((2, 3), keepdim=True))

    assert field(forward) == ((3, 3), (1, 1))


def test_without_a_window_there_is_none():
    assert field(lambda net, x: net.point(x), (1, 4)) is None


def test_one_and_three_dimensions():
    one = trace(nn.Sequential(nn.Conv1d(2, 2, 3, stride=2), nn.Conv1d(2, 2, 3)), (1, 2, 32)).receptive_field()
    three = trace(nn.Sequential(nn.Conv3d(2, 2, 3), nn.MaxPool3d(2)), (1, 2, 9, 9, 9)).receptive_field()

    assert (one.size, one.stride) == ((7,), (2,))
    assert (three.size, three.stride) == ((4, 4, 4), (2, 2, 2))


def test_channel_shuffle_keeps_positions():
    """ShuffleNet's view, transpose and view leave the spatial axes where they are."""

    def forward(net, x):
        x = net.a(x)
        x = x.view(1, 2, 2, 32, 32).transpose(1, 2).reshape(1, 4, 32, 32)
        return net.a(torch.cat(x.chunk(2, 1), 1))

    assert field(forward) == ((5, 5), (1, 1))
