"""Bytes of activations against the memory that a forward really holds."""

import weakref

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from pytest_archcheck import trace
from tests.models import builder, recorded

MIB = 2**20


class Alive(TorchDispatchMode):
    """The most bytes of memory that are alive at once, of everything made while it watches."""

    def __init__(self, *held):
        super().__init__()
        self.peak = self.now = 0
        self._known = set()
        for tensor in held:
            self._known.add(tensor.untyped_storage()._cdata)

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(result):
            if isinstance(tensor, torch.Tensor):
                self._take(tensor.untyped_storage())
        return result

    def _take(self, storage):
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._free, key, size)

    def _free(self, key, size):
        self.now -= size
        self._known.discard(key)


def measured(model, x):
    """The input and what is alive beside it at the worst moment of a forward on cpu."""
    with torch.no_grad(), Alive(x, *model.parameters(), *model.buffers()) as alive:
        model.eval()(x)
    return alive.peak + x.nbytes


@pytest.mark.parametrize("name", ["vgg11", "resnet18", "densenet121", "squeezenet1_1", "mobilenet_v2"])
def test_the_peak_is_near_what_a_forward_holds(name):
    """Within a fifth: Python's variables hold a block's input to its end, and an in-place sum takes no memory."""
    x = torch.zeros(2, 3, 96, 96)
    model = builder(name)()

    estimated = trace(model, x).activations.peak

    assert estimated == pytest.approx(measured(model, x), rel=0.2)


def test_the_peak_of_a_transformer_is_too_low():
    """By a third: the forwards of block and layer hold four tensors of the block's width while the last runs."""
    x = torch.zeros(1, 3, 224, 224)
    model = builder("vit_b_16")()

    assert 0.65 < trace(model, x).activations.peak / measured(model, x) < 0.8


class Chain(nn.Module):
    """Three layers of which each result is used once."""

    def __init__(self):
        super().__init__()
        self.a, self.b, self.c = nn.Linear(10, 100), nn.Linear(100, 50), nn.Linear(50, 1)

    def forward(self, x):
        return self.c(self.b(self.a(x)))


def test_what_is_dead_is_freed():
    """4 bytes each: the input of 10, then 100 and 50 at once; 50 and 1 are less."""
    found = trace(Chain, (1, 10)).activations

    assert found.peak == 4 * (10 + 100 + 50)
    assert found.peak_at == "b"
    assert found.alive == {"a": 400, "b": 200, "in:x": 40}
    assert found.per_call == {"a": 400, "b": 200, "c": 4}


def test_what_is_used_later_stays():
    class Skips(Chain):
        def forward(self, x):
            y = self.a(x)
            return self.c(self.b(y)) + y.sum()

    found = trace(Skips, (1, 10)).activations

    assert (found.peak, found.peak_at) == (4 * (10 + 100 + 50 + 1), "c")
    assert found.alive == {"a": 400, "b": 200, "in:x": 40, "c": 4}


class Calls(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


@pytest.mark.parametrize(
    ("function", "results"),
    [
        (lambda x: (x + 1).view(-1).relu(), 2),
        (lambda x: (x + 1).transpose(0, 1).relu(), 2),
        (lambda x: (x + 1).reshape(-1).relu(), 2),
        (lambda x: (x + 1).transpose(0, 1).reshape(-1), 2),
        (lambda x: (x + 1).transpose(0, 1).contiguous(), 2),
        (lambda x: (x + 1).contiguous().to(torch.float32).relu(), 2),
        (lambda x: nn.functional.dropout(x + 1, 0.5, False).relu(), 2),
        (lambda x: nn.functional.dropout(x + 1, 0.5, False), 1),
        (lambda x: x.flatten(), 0),
        (lambda x: (x + 1)[torch.arange(8)][:, 0], 2.125),
        (lambda x: (x + 1)[0], 1),
        (lambda x: ((x + 1).exp(), torch.relu(x + 2))[1], 2),
        (lambda x: torch.relu(x + 1) + 1, 2),
        (lambda x: (x + 1) + (x + 2), 3),
    ],
)
def test_views_take_no_memory_and_copies_do(function, results):
    """Beside the input, so many tensors of its size are alive at once."""
    found = trace(Calls(function), (8, 16)).activations

    assert found.peak == 8 * 16 * 4 * (1 + results)


def test_an_in_place_layer_and_a_sleeping_one_take_none():
    layers = [nn.Conv2d(3, 3, 1), nn.ReLU(inplace=True), nn.Dropout(), nn.Identity(), nn.Flatten()]
    model = nn.Sequential(*layers)
    plain = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU())
    one = 3 * 64 * 4

    assert trace(model, (1, 3, 8, 8)).activations.peak == 2 * one
    assert trace(plain, (1, 3, 8, 8)).activations.peak == 3 * one
    assert trace(model, (1, 3, 8, 8), train=True).activations.peak == 3 * one


def test_max_pooling_makes_its_indices():
    """An int64 for each of its results, though nobody asks for them."""
    found = trace(nn.MaxPool2d(2), (1, 3, 8, 8)).activations

    assert found.peak == 4 * 3 * 64 + (4 + 8) * 3 * 16


def test_half_precision_takes_half():
    single = trace(nn.Linear(4, 8), (1, 4)).activations
    half = trace(nn.Linear(4, 8).half(), torch.zeros(1, 4, dtype=torch.half)).activations

    assert single.peak == 2 * half.peak == 4 * (4 + 8)


def test_every_layer_says_what_it_returns():
    """A layer that holds others too."""
    found = recorded("resnet18").activations

    assert found.per_call["conv1"] == 64 * 112 * 112 * 4
    assert found.per_call["layer1.0"] == found.per_call["layer1.0:add"] == 64 * 56 * 56 * 4
