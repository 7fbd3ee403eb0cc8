"""Index maps of views, against torch's own views of a tensor that holds its own indices."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pytest_archcheck import trace
from pytest_archcheck.graph.layouts import Layout, contiguous, moves
from pytest_archcheck.records import LayerCall

SHAPE = (2, 6, 4)

STEPS = {
    "permute": lambda x: x.permute(*reversed(range(x.dim()))),
    "transpose": lambda x: x.transpose(0, -1),
    "flatten": lambda x: x.flatten(1) if x.dim() > 1 else x.flatten(),
    "reshape": lambda x: x.reshape(4, -1),
    "unflatten": lambda x: x.reshape(-1).unflatten(0, (2, -1)),
    "split": lambda x: x.split(max(x.shape[0] // 2, 1), 0)[-1],
    "chunk": lambda x: x.chunk(2, -1)[0],
    "unbind": lambda x: x.unbind(0)[-1] if x.dim() > 1 else x,
    "index": lambda x: x[0] if x.dim() > 1 else x,
    "last": lambda x: x[..., -1] if x.dim() > 1 else x,
    "slice": lambda x: x[:, 1:] if x.dim() > 1 and x.shape[1] > 1 else x,
    "step": lambda x: x[..., ::2],
    "unsqueeze": lambda x: x.unsqueeze(1),
    "squeeze": lambda x: x.squeeze(),
    "new axis": lambda x: x[None],
    "select": lambda x: x.select(-1, 0) if x.dim() > 1 else x,
    "narrow": lambda x: x.narrow(0, 0, 1),
}


def indices(layout):
    """The elements that a layout points at, in order."""
    axes = [
        [
            sum(place * stride for place, (_, stride) in zip(places, dim, strict=True))
            for places in itertools.product(*(range(size) for size, _ in dim))
        ]
        for dim in layout.dims
    ]
    return [layout.offset + sum(place) for place in itertools.product(*axes)]


class Moved(nn.Module):
    def __init__(self, names):
        super().__init__()
        self.names = names

    def forward(self, x):
        for name in self.names:
            x = STEPS[name](x)
        return x.relu()


def layout_of(names):
    """The layout of what ``relu`` takes, or ``None`` where a step is no index map."""
    recorded = trace(Moved(names), SHAPE)
    layouts = {("in:x", 0): contiguous(SHAPE)}
    for call in recorded.calls:
        if isinstance(call, LayerCall):
            continue
        source = layouts[call.args[0].name, call.args[0].index]
        if call.function == "relu":
            return source
        for number in range(len(call.outputs)):
            layouts[call.id, number] = moves(call, number, source)
            if layouts[call.id, number] is None:
                return None
    raise AssertionError("relu did not run")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(sorted(STEPS)), max_size=4))
def test_a_layout_points_at_the_elements_that_torch_takes(names):
    """In doubt it says that it does not know; it is never wrong."""
    x = torch.arange(48).view(SHAPE)
    try:
        for name in names:
            x = STEPS[name](x)
    except (RuntimeError, IndexError):
        return
    layout = layout_of(names)

    assert layout is None or indices(layout) == x.flatten().tolist()
    assert layout is None or layout.shape == tuple(x.shape)


@pytest.mark.parametrize("name", STEPS)
def test_every_single_step_is_known(name):
    assert layout_of([name]) is not None


def test_two_ways_to_heads_are_one_layout():
    """Queries, keys and values by a split and by a permutation."""

    class Split(nn.Module):
        def forward(self, x):
            return x.split(8, 2)[1].view(2, 5, 2, 4).transpose(1, 2).relu()

    class Permuted(nn.Module):
        def forward(self, x):
            return x.view(2, 5, 3, 2, 4).permute(2, 0, 3, 1, 4)[1].relu()

    class Swapped(nn.Module):
        def forward(self, x):
            return x.view(2, 5, 3, 4, 2).permute(2, 0, 4, 1, 3)[1].relu()

    split, permuted, swapped = (trace(net(), (2, 5, 24)) for net in (Split, Permuted, Swapped))

    assert split.same_as(permuted)
    assert not split.same_as(swapped)


def test_grouping_merges_what_lies_together():
    assert contiguous((2, 3, 4)).grouped(1) == Layout((((6, 4),), ((4, 1),)))
    assert str(contiguous((2, 3)).grouped(0)) == "[6:1]"
