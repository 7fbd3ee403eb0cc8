"""The user's model is the same bytes after a trace, whatever happened."""

import copy
import random

import numpy
import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import RecordingError, trace
from tests.recording.fingerprint import assert_same, fingerprint


@pytest.mark.parametrize("device", ["meta", "cpu"])
@pytest.mark.parametrize("train", [False, True])
def test_a_recording_leaves_no_mark(device, train):
    """Batch norm statistics, flags, hooks and gradients stay, also when recorded in training mode."""
    model = torchvision.models.mobilenet_v3_small()
    model.train(not train)
    model.features[0][1].eval()
    for parameter in model.parameters():
        parameter.grad = torch.ones_like(parameter)
    before = fingerprint(model)

    trace(model, (2, 3, 64, 64), device=device, train=train)

    assert_same(before, fingerprint(model))


def test_the_random_state_stays():
    """Python's, NumPy's and torch's, also when a factory draws weights and a dropout draws masks."""
    states = random.getstate(), numpy.random.get_state()[1].tolist(), torch.get_rng_state()

    def factory():
        random.random(), numpy.random.rand()
        return nn.Sequential(nn.Linear(4, 4), nn.Dropout())

    trace(factory, (2, 4), device="cpu", train=True)

    assert random.getstate() == states[0]
    assert numpy.random.get_state()[1].tolist() == states[1]
    assert torch.equal(torch.get_rng_state(), states[2])


def test_grad_mode_and_default_device_stay():
    model = nn.Linear(4, 4)

    trace(model, (2, 4))

    assert torch.is_grad_enabled()
    assert torch.zeros(1).device.type == "cpu"


def test_plain_tensors_lists_and_bound_methods_are_the_models_own_again():
    """A model that keeps tensors and methods in plain attributes and writes to them in its forward."""

    class Keeper(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)
            self.register_buffer("steps", torch.zeros(1))
            self.cache = [torch.ones(4)]
            self.seen = []
            self.act = self.activate

        def activate(self, x):
            self.seen.append(1)
            return x.relu()

        def forward(self, x):
            self.steps += 1
            self.cache.append(x)
            self.last = x
            return self.act(self.linear(x)) + self.cache[0]

    model = Keeper()
    for device in ("meta", "cpu"):
        trace(model, (2, 4), device=device)

    assert model.steps.item() == 0
    assert [tensor.device.type for tensor in model.cache] == ["cpu"]
    assert model.seen == []
    assert not hasattr(model, "last")
    assert model.act.__self__ is model


def test_the_users_input_tensors_stay():
    """A forward that writes to its input writes to a copy."""

    class Writer(nn.Module):
        def forward(self, x):
            return x.mul_(2)

    mine = torch.ones(2, 4)

    trace(Writer(), mine, device="cpu")

    assert torch.equal(mine, torch.ones(2, 4))
    assert not hasattr(mine, "_archcheck_source")


GLOBAL = torch.ones(4)


@pytest.mark.parametrize("device", ["auto", "cpu"])
def test_tensors_that_are_not_the_models_stay(device):
    """A global that the forward uses gets no mark, and means the same in every recording."""

    class UsesGlobal(nn.Module):
        def forward(self, x):
            return (x.cpu() if x.is_cuda else x) * 2 + GLOBAL

    attributes = dict(GLOBAL.__dict__)
    first, second = trace(UsesGlobal(), (2, 4), device="cpu"), trace(UsesGlobal(), (2, 4), device=device)

    assert first == second
    assert GLOBAL.__dict__ == attributes
    assert first.status == "partial: opaque:. not counted"


def test_a_model_is_usable_after_a_failed_meta_attempt():
    """RetinaNet keeps its anchors as plain tensors and cannot run on meta."""
    model = torchvision.models.detection.retinanet_resnet50_fpn(weights=None, weights_backbone=None).eval()
    images = [torch.zeros(3, 64, 64)]
    expected = [tuple(v.shape) for v in model(images)[0].values()]

    with pytest.raises(RecordingError):
        trace(model, [(3, 64, 64)], device="meta")

    assert [tuple(v.shape) for v in model(images)[0].values()] == expected


def test_a_clone_shares_parameters_with_the_model_on_a_real_device():
    """Recording on cpu copies no parameter."""
    from pytest_archcheck.recording.clone import Cloner
    from pytest_archcheck.recording.placements import placement

    model = torchvision.models.resnet18()
    clone = Cloner(placement("cpu")).clone(model)

    pairs = zip(model.parameters(), clone.parameters(), strict=True)
    assert all(mine.data_ptr() == theirs.data_ptr() and mine is not theirs for mine, theirs in pairs)
    buffers = zip(model.buffers(), clone.buffers(), strict=True)
    assert all(mine.data_ptr() != theirs.data_ptr() for mine, theirs in buffers)


def test_a_deep_copy_has_the_same_trace():
    model = torchvision.models.resnet18()

    assert trace(copy.deepcopy(model), (1, 3, 32, 32)) == trace(model, (1, 3, 32, 32))
