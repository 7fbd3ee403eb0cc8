"""Shortcuts and their kind: published counts, and toys worked out by hand."""

from collections import Counter

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import trace
from tests.models import recorded

# Residual blocks by their papers' tables; a block that changes its shape projects (arXiv 1512.03385, option B), or has
# no shortcut at all (MobileNet v2, 1801.04381; EfficientNet, 1905.11946). Transformers have two in each block.
PUBLISHED = {
    "resnet18": {"identity": 5, "projection": 3},
    "resnet34": {"identity": 13, "projection": 3},
    "resnet50": {"identity": 12, "projection": 4},
    "resnet101": {"identity": 29, "projection": 4},
    "resnet152": {"identity": 46, "projection": 4},
    "regnet_x_8gf": {"identity": 19, "projection": 4},
    "mobilenet_v2": {"identity": 10},
    "efficientnet_b0": {"identity": 9},
    "convnext_tiny": {"identity": 18},
    "vit_b_16": {"identity": 24},
    "swin_t": {"identity": 24},
    "densenet121": {},
    "vgg16": {},
    "googlenet": {},
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_shortcuts_are_as_published(name):
    assert Counter(shortcut.kind for shortcut in recorded(name).shortcuts) == PUBLISHED[name]


class Net(nn.Module):
    """Three convolutions of width 4, a projection to 8, and whatever forward a test gives it."""

    def __init__(self, forward):
        super().__init__()
        for name in "abc":
            setattr(self, name, nn.Conv2d(4, 4, 3, padding=1))
        self.wide = nn.Conv2d(4, 8, 3, stride=2, padding=1)
        self.wide2 = nn.Conv2d(8, 8, 3, padding=1)
        self.project = nn.Conv2d(4, 8, 1, stride=2)
        self.pool = nn.AvgPool2d(2)
        self.run = forward

    def forward(self, x):
        return self.run(self, x)


def shortcuts(forward):
    return [(s.kind, s.start, s.sum, s.layers) for s in trace(Net(forward), (2, 4, 8, 8)).shortcuts]


def test_an_identity_shortcut_may_begin_at_the_input():
    assert shortcuts(lambda net, x: net.a(x) + x) == [("identity", "in:x", ":add", ())]


def test_the_order_of_the_sum_does_not_matter():
    assert shortcuts(lambda net, x: x + net.b(net.a(x))) == [("identity", "in:x", ":add", ())]


def test_a_sum_with_itself_is_no_shortcut():
    """The bug of ``x + x`` for ``x + shortcut`` loses one."""

    def forward(net, x):
        x = net.a(x)
        return x + x

    assert shortcuts(forward) == []


def test_an_activation_beside_the_identity_is_no_residual():
    """GELU written out adds ``x`` and its cube; there is no layer to jump over."""
    assert shortcuts(lambda net, x: net.a(x + 0.044715 * x**3)) == []


def test_a_projection_is_named_with_its_layers():
    found = shortcuts(lambda net, x: net.wide2(net.wide(x)) + net.project(x))

    assert found == [("projection", "in:x", ":add", ("project",))]


def test_zero_padding_is_option_a():
    """Three spellings of it: pad, concatenation with zeros, a write into zeros."""

    def pad(net, x):
        return net.wide2(net.wide(x)) + F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 2, 2))

    def cat(net, x):
        small = net.pool(x)
        return net.wide2(net.wide(x)) + torch.cat((small, small.mul(0)), 1)

    def write(net, x):
        full = torch.zeros(2, 8, 4, 4)
        full[:, :4] = x[:, :, ::2, ::2]
        return net.wide2(net.wide(x)) + full

    assert [shortcuts(forward)[0][0] for forward in (pad, cat, write)] == ["padding"] * 3


def test_pooling_alone_resamples():
    def forward(net, x):
        y = net.wide(x)
        return net.pool(y) + F.max_pool2d(net.wide2(y), 2)

    assert [kind for kind, *_ in shortcuts(forward)] == ["resampled"]


def test_pooling_before_a_projection_hides_nothing():
    """ResNet-D (arXiv 1812.01187) pools before it projects: still one layer beside two."""

    def forward(net, x):
        beside = F.conv2d(net.pool(x), net.project.weight)
        return net.wide2(net.wide(x)) + beside

    assert [kind for kind, *_ in shortcuts(forward)] == ["projection"]


def test_pooling_beside_a_layer_resamples():
    def forward(net, x):
        return F.max_pool2d(net.a(x), 2) + net.pool(x)

    assert [kind for kind, *_ in shortcuts(forward)] == ["resampled"]


def test_a_reshape_changes_no_value():
    def forward(net, x):
        return net.a(x).flatten(2) + x.flatten(2)

    assert [kind for kind, *_ in shortcuts(forward)] == ["identity"]


def test_a_context_that_is_broadcast_is_no_parallel_path():
    """GCNet (arXiv 1904.11492) adds one vector to all positions."""
    assert shortcuts(lambda net, x: x + net.a(x).mean((2, 3), keepdim=True)) == []


def test_a_pooling_branch_counts_as_a_layer():
    """PoolFormer (arXiv 2111.11418) mixes by pooling, which has no weights."""
    found = shortcuts(lambda net, x: net.a(x + F.avg_pool2d(x, 3, 1, 1)))

    assert [kind for kind, *_ in found] == ["identity"]


def test_branches_of_equal_length_are_parallel():
    assert shortcuts(lambda net, x: net.a(x) + net.b(x)) == []


def test_a_network_beside_another_is_parallel():
    """GPT-J and GPT-NeoX add attention and feed-forward; the shorter of the two is no projection."""

    def forward(net, x):
        beside = net.b(net.a(x).relu())
        return x + (net.c(net.c(net.c(x))) + beside)

    assert [(kind, start) for kind, start, *_ in shortcuts(forward)] == [("identity", "in:x")]


def test_a_projection_may_be_activated_before_its_layer():
    """Pre-activation (arXiv 1603.05027), and dual path networks (1707.01629)."""
    found = shortcuts(lambda net, x: net.wide2(net.wide(x)) + net.project(x.relu()))

    assert [(kind, layers) for kind, _, _, layers in found] == [("projection", (":relu", "project"))]


def test_pieces_of_a_split_carry_other_data():
    """Res2Net (arXiv 1904.01169) adds one piece's convolution to the next piece."""

    def forward(net, x):
        first, second = torch.cat((net.a(x), net.b(x)), 1).chunk(2, 1)
        return net.c(first) + second

    assert shortcuts(forward) == []


def test_two_slices_carry_other_data():
    """The convolution sees the first half, the sum takes the second."""

    def forward(net, x):
        both = torch.cat((x, x), 1)
        return net.a(both[:, :4]) + both[:, 4:]

    assert shortcuts(forward) == []


def test_scaling_by_another_input_is_no_residual():
    """FiLM (arXiv 1709.07871): the layers that make the scale do not begin at what is scaled."""

    class Film(nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = nn.Linear(4, 4)

        def forward(self, x, condition):
            return x * self.scale(condition) + x

    assert trace(Film(), ((2, 4), (2, 4))).shortcuts == ()


def test_a_recurrence_is_no_residual_sum():
    """``h = a(x[t]) + b(h)``: another step of the sequence is other data."""

    class Recurrent(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            h = x[0]
            for t in range(1, 5):
                h = torch.tanh(self.a(x[t]) + self.b(h))
            return h

    assert trace(Recurrent(), (5, 2, 4)).shortcuts == ()


def test_a_mask_beside_the_input_does_not_hide_the_shortcut():
    """The long branch also takes another input; the fork is still where the shortcut begins."""

    class Masked(nn.Module):
        def __init__(self):
            super().__init__()
            self.qkv, self.out = nn.Linear(4, 12), nn.Linear(4, 4)

        def forward(self, x, mask):
            q, k, v = self.qkv(x).chunk(3, -1)
            return x + self.out(((q @ k.mT) * mask).softmax(-1) @ v)

    found = trace(Masked(), ((2, 3, 4), (2, 3, 3))).shortcuts

    assert [(s.kind, s.start) for s in found] == [("identity", "in:x")]


def test_a_cropped_shortcut_is_an_identity():
    """Convolutions without padding need the crop (WaveNet, V-Net)."""

    class Cropped(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv1d(4, 4, 3)

        def forward(self, x):
            return self.conv(x) + x[:, :, 2:]

    assert [s.kind for s in trace(Cropped(), (1, 4, 9)).shortcuts] == ["identity"]
