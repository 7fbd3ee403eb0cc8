"""Skipping shape inference that was done before changes nothing in the record."""

import gc

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import trace
from pytest_archcheck.recording import memo
from tests.models import builder, image

MODELS = [
    "densenet121",
    "efficientnet_b0",
    "googlenet",
    "maxvit_t",
    "resnet50",
    "shufflenet_v2_x1_0",
    "swin_v2_t",
]


@pytest.mark.parametrize("train", [False, True])
@pytest.mark.parametrize("name", MODELS)
def test_the_record_is_the_same_without_it(name, train, monkeypatch):
    model = builder(name)()
    shape = image(name, batch=2)
    with_memo = trace(model, shape, device="meta", train=train)

    monkeypatch.setattr(memo, "LISTED", frozenset())
    assert trace(model, shape, device="meta", train=train) == with_memo


def test_repeated_layers_are_skipped(monkeypatch):
    """Of ten equal convolutions one is computed."""
    computed = []
    original = memo.ShapeMemo._keep_made
    monkeypatch.setattr(
        memo.ShapeMemo, "_keep_made", lambda self, *args: (computed.append(1), original(self, *args))[1]
    )

    trace(nn.Sequential(*[nn.Conv2d(4, 4, 3, padding=1) for _ in range(10)]), (1, 4, 8, 8), device="meta")

    assert len(computed) == 1


class Twice(nn.Module):
    """Does the same thing twice, so that the second comes from memory."""

    def __init__(self, step):
        super().__init__()
        self.step = step

    def forward(self, x):
        return self.step(self.step(x) + 0.0)


def update_statistics(x):
    """What is written to the running mean has to be seen where that is read."""
    mean, var = x.new_zeros(4), x.new_ones(4)
    return F.batch_norm(x, mean, var, training=True) + mean[:, None, None]


@pytest.mark.parametrize(
    "step",
    [
        update_statistics,
        lambda x: F.relu(x, inplace=True) + x,
        lambda x: x.add_(1) * x,
        lambda x: F.dropout(x, 0.5, training=False) + x,
        lambda x: F.max_pool2d(x, 1, return_indices=True)[0],
        lambda x: F.batch_norm(x, x.new_zeros(4), x.new_ones(4), training=True),
        lambda x: torch.cat([x, x], 1)[:, :4],
        lambda x: x.transpose(2, 3).contiguous() + x.transpose(2, 3),
        lambda x: F.interpolate(x, scale_factor=1.0) * 1,
        lambda x: x.sum((2, 3), keepdim=True) * True + x,
    ],
)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_writes_aliases_and_layouts_are_as_on_cpu(step, layout):
    x = torch.zeros(2, 4, 6, 6).to(memory_format=layout)

    assert trace(Twice(step), x, device="meta") == trace(Twice(step), x, device="cpu")


def test_the_garbage_collector_is_on_again_afterwards():
    trace(nn.Linear(2, 2), (1, 2), device="meta")

    assert gc.isenabled()


def test_a_result_written_to_out_is_not_replayed():
    """The second product resizes its own tensor, too."""

    class Out(nn.Module):
        def forward(self, x):
            first, second = x.new_empty(0), x.new_empty(0)
            torch.matmul(x, x, out=first)
            torch.matmul(x, x, out=second)
            return torch.cat([first.flatten(), second.flatten()])

    on_meta = trace(Out(), (4, 4), device="meta")

    assert on_meta.macs == 128
    assert on_meta == trace(Out(), (4, 4), device="cpu")


def test_a_replayed_result_can_be_differentiated():
    """Two equal layers in sequence, in a forward that takes a gradient."""

    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.b = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x):
            with torch.enable_grad():
                x = x.detach().requires_grad_()
                return torch.autograd.grad(self.b(self.a(x)).sum(), x)[0]

    assert trace(Twice(), (2, 4), device="meta") == trace(Twice(), (2, 4), device="cpu")
