"""What a recording must not touch, beyond the small models: processes, threads, wrappers, memory."""

import copy
import inspect
import io
import threading
import types
import weakref

import numpy
import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import trace
from tests.recording import cachers
from tests.recording.cases import state
from tests.recording.cases.modules import Block, WithLinear
from tests.recording.fingerprint import assert_same, fingerprint


def test_eight_threads_record_one_model_fifty_times():
    """The model stays as it was, and all agree."""
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.ReLU(inplace=True),
        nn.Flatten(),
        nn.Linear(144, 2),
        nn.Dropout(),
    )
    before = fingerprint(model)
    texts, errors = [], []

    def record(device):
        try:
            texts.extend(trace(model, (2, 3, 8, 8), device=device, train=True).record_text for _ in range(50))
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=record, args=("meta" if i % 2 else "cpu",)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert not errors
    assert len(texts) == 400
    assert len(set(texts)) == 1
    assert_same(before, fingerprint(model))


def test_a_model_wrapped_for_distributed_training_is_recorded_without_its_wrapper():
    """The reducer of the process group is not touched."""
    distributed = torch.distributed
    distributed.init_process_group("gloo", store=distributed.HashStore(), rank=0, world_size=1)
    try:
        model = nn.parallel.DistributedDataParallel(Block())
        expected = trace(model.module, (2, 4))
        before = fingerprint(model)
        for device in ("meta", "cpu"):
            recorded = trace(model, (2, 4), device=device)
            assert recorded == expected
            assert recorded.notes == ("recorded without its wrapper DistributedDataParallel",)
        assert_same(before, fingerprint(model))
    finally:
        distributed.destroy_process_group()


class LetsGo(WithLinear):
    """Notes whether its activation is gone as soon as it let go of it."""

    outcome = None

    def forward(self, x):
        hidden = self.l(x)
        remembered = weakref.ref(hidden)
        out = hidden.relu()
        del hidden
        type(self).outcome = remembered() is None
        return out


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_no_activation_is_kept_alive(device):
    trace(LetsGo(), (2, 4), device=device)

    assert LetsGo.outcome is True


def test_the_clone_is_gone_after_the_recording():
    """Without waiting for the garbage collector: a large model's buffers go when the trace is there."""
    clones = []

    class Remembered(WithLinear):
        def forward(self, x):
            clones.append(weakref.ref(self))
            return self.l(x)

    trace(Remembered(), (2, 4), device="cpu")

    assert clones[0]() is None


def test_a_default_device_of_the_users_own_stays_and_does_not_matter():
    class Makes(WithLinear):
        def forward(self, x):
            return self.l(x + torch.ones(4))

    expected = trace(Makes(), (2, 4))
    torch.set_default_device("meta")
    try:
        with torch.device("cpu"):
            model = Makes()
        assert trace(model, (2, 4), device="cpu") == expected
        assert torch.empty(0).is_meta
    finally:
        torch.set_default_device(None)


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_grad_mode_around_a_recording_does_not_matter(mode):
    model = torchvision.models.resnet18()
    expected = trace(model, (1, 3, 32, 32))

    with mode():
        assert trace(model, (1, 3, 32, 32)) == expected
        assert trace(model, (1, 3, 32, 32), device="cpu") == expected


def test_a_forward_that_hard_codes_cuda_is_recorded_where_there_is_none():
    class HardCoded(WithLinear):
        def forward(self, x):
            return self.l(x.to("cuda:3").cuda(1)).cpu().to(torch.device("cuda"), torch.float64)

    recorded = trace(HardCoded(), (2, 4), device="cpu")

    assert recorded.output.dtype == "float64"
    assert recorded == trace(HardCoded(), (2, 4), device="meta")


def test_an_exported_program_is_recorded_by_its_functions():
    """Convolutions and matrix products of aten go by the names that people call them by."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(36, 2)).eval()
    exported = torch.export.export(model, (torch.ones(1, 3, 8, 8),)).module()

    recorded = trace(exported, (1, 3, 8, 8))

    assert [op.function for op in recorded.ops if op.function in ("conv2d", "relu", "linear")] == [
        "conv2d",
        "relu",
        "linear",
    ]
    assert recorded.macs == trace(model, (1, 3, 8, 8)).macs
    assert recorded.params.total == sum(p.numel() for p in model.parameters())
    assert "the mode is the one that the program was exported in" in recorded.notes


def test_what_a_model_caches_outside_of_itself_works_after_a_recording():
    """A tensor of a recording in a cache of the process would meet the next forward, on another device."""
    model = state.CachesOutsideOfItself()

    for device in ("meta", "cpu", "meta"):
        recorded = trace(model, (2, 4), device=device)
        assert recorded.status == "complete"
        assert state.cached_grid.cache_info().currsize == 0
        assert (state.FILE_CACHE, model.class_cache) == ({}, {})
    assert model(torch.ones(2, 4)).tolist() == [[3.0, 4.0, 5.0, 6.0]] * 2

    state.FILE_CACHE.clear()
    model.class_cache.clear()
    assert trace(model, (2, 4)) == recorded, "what the forward left in cached functions met the recording"
    model.cached_zeros.cache_clear()
    state.cached_grid.cache_clear()


@pytest.mark.parametrize("build", cachers.CACHERS, ids=lambda build: build.__name__)
def test_what_a_forward_keeps_outside_the_model_is_not_the_recordings(build):
    model = build()
    trace(model, (2, 4), device="meta")

    assert not model(torch.ones(2, 4)).is_meta
    kept = cachers.ACTIVATION.get("fc")
    trace(model, (2, 4))
    assert cachers.ACTIVATION.get("fc") is kept
    assert not model(torch.ones(2, 4)).is_meta
    trace(model, (2, 4), device="cpu")
    assert kept is None or not kept.is_meta


class Merges(nn.Linear):
    """Adds to its weight in evaluation mode, as LoRA layers do."""

    def __init__(self):
        super().__init__(4, 4)
        self.delta = nn.Parameter(torch.ones(4, 4))
        self.merged = False

    def train(self, mode=True):
        super().train(mode)
        if self.merged == mode:
            with torch.no_grad():
                self.weight.data += -self.delta if mode else self.delta
            self.merged = not mode
        return self


def test_a_train_method_that_writes_to_parameters_writes_to_copies():
    model = nn.Sequential(Merges())
    before = fingerprint(model)

    for device in ("cpu", "meta", "cpu"):
        trace(model, (2, 4), device=device)

    assert_same(before, fingerprint(model))


def test_inputs_that_are_parameters_or_modules_stay():
    class Writes(nn.Module):
        def forward(self, module, x):
            with torch.no_grad():
                module.weight.mul_(0.5)
                x.add_(1)
            return module(x)

    layer, parameter = nn.Linear(4, 4), nn.Parameter(torch.zeros(2, 4))
    before = fingerprint(layer, parameter)

    trace(Writes(), (layer, parameter), device="cpu")

    assert_same(before, fingerprint(layer, parameter))


def test_a_write_does_not_part_the_aliases_of_a_parameter():
    """The recording takes the path that the model takes."""

    class Reads(WithLinear):
        def forward(self, x):
            alias = self.l.weight.data
            self.l.weight.data.fill_(1.0)
            return self.l(x) if (alias == 1).all() else x

    assert trace(Reads(), (2, 4)).macs == 32


def test_numpys_random_numbers_are_the_same_in_every_recording():
    class LayerDrop(WithLinear):
        def forward(self, x):
            for _ in range(8):
                if numpy.random.rand() > 0.5:
                    x = self.l(x)
            return x * 2

    model = LayerDrop()
    texts = set()
    for seed in range(4):
        numpy.random.seed(seed)
        texts.add(trace(model, (2, 4)).to_text())

    assert len(texts) == 1


class CompiledForward(WithLinear):
    @torch.compile
    def forward(self, x):
        return self.l(x).relu()


@torch.compile
def compiled_product(x, weight):
    return x @ weight


class CompiledHelper(WithLinear):
    def forward(self, x):
        return compiled_product(x, self.l.weight)


@pytest.mark.parametrize("device", ["auto", "meta", "cpu"])
def test_compiled_functions_run_as_they_are_written(device):
    assert [call.id for call in trace(CompiledForward(), (2, 4), device=device)] == ["l", ":relu"]
    assert trace(CompiledForward(), (2, 4), device=device).macs == 32
    assert [call.id for call in trace(CompiledHelper(), (2, 4), device=device)] == [":matmul"]


def test_a_copy_made_in_the_forward_may_be_changed():
    """As meta-learning does: the copy is not the layer that it was copied from."""

    class Adapts(nn.Module):
        def __init__(self):
            super().__init__()
            self.net = nn.Sequential(nn.Linear(4, 4))

        def forward(self, x):
            fast = copy.deepcopy(self.net)
            fast[0] = nn.Linear(4, 2)
            return fast(x)

    assert trace(Adapts(), (2, 4)).macs == 16


def test_a_forward_is_inspected_as_it_is_written():
    class Scaled(nn.Module):
        def forward(self, x, scale=None):
            return x * scale if scale else x + 0

    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.scaled = Scaled()

        def forward(self, x):
            known = inspect.getfullargspec(self.scaled.forward).args
            named = self.scaled.forward.__code__.co_varnames
            assert inspect.signature(self.scaled.forward).parameters.keys() == {"x", "scale"}
            return self.scaled(x, **({"scale": 2.0} if "scale" in known and "scale" in named else {}))

    assert [call.id for call in trace(Asks(), (2, 4))] == ["scaled", "scaled:mul"]


def test_a_models_own_modules_in_unusual_containers_are_the_clones():
    """Keys of a dict, weak containers, frozen sets, proxies: nothing reaches the user's modules."""

    class Child(nn.Module):
        def __init__(self, parent):
            super().__init__()
            object.__setattr__(self, "parent", weakref.proxy(parent))

        def forward(self, x):
            return x * self.parent.factor

    class Unusual(nn.Module):
        factor = 2

        def __init__(self):
            super().__init__()
            self.norm = nn.BatchNorm1d(4)
            self.child = Child(self)
            self.scale = {self.norm: 2.0}
            self.weak = weakref.WeakValueDictionary(norm=self.norm)
            self.weak_keys = weakref.WeakKeyDictionary({self.norm: 1})
            self.weak_set = weakref.WeakSet([self.norm])
            self.frozen = frozenset([self.norm])
            self.proxied = types.MappingProxyType({"norm": self.norm})

        def forward(self, x):
            for norm, factor in self.scale.items():
                x = norm(x) * factor
            held = (self.weak["norm"], *self.weak_keys, *self.weak_set, *self.frozen, self.proxied["norm"])
            for norm in held:
                x = norm(x)
            return self.child(x) * self.scale[self.norm]

    model = Unusual()
    before = model.norm.running_mean.clone()
    for device in ("meta", "cpu"):
        recorded = trace(model, (8, 4), device=device, train=True)
        assert recorded.status == "complete"
        assert [layer.id for layer in recorded.layers] == [
            "norm",
            *(f"norm#{n}" for n in range(2, 7)),
            "child",
        ]
    assert torch.equal(before, model.norm.running_mean)


def test_a_default_dtype_that_the_forward_sets_does_not_stay():
    class Sets(WithLinear):
        def forward(self, x):
            torch.set_default_dtype(torch.float64)
            return self.l(x)

    trace(Sets(), (2, 4), device="cpu")

    assert torch.get_default_dtype() is torch.float32


def test_an_exported_part_of_a_model_is_recorded():
    part = torch.export.export(nn.Linear(4, 4), (torch.ones(2, 4),)).module()

    assert trace(nn.Sequential(part, nn.ReLU()), (2, 4)).macs == 32


def test_parameters_made_in_inference_mode_are_recorded():
    with torch.inference_mode():
        model = Block()

    assert trace(model, (2, 4), device="cpu") == trace(model, (2, 4), device="meta")


def test_an_object_that_closes_what_it_holds_is_not_copied():
    """A copy that dies would close the original's file."""

    class Resource:
        def __init__(self):
            self.file = io.StringIO("abc")

        def __del__(self):
            self.file.close()

    class Holds(nn.Module):
        def __init__(self):
            super().__init__()
            self.resource = Resource()

        def forward(self, x):
            assert not self.resource.file.closed
            return x * 2

    model = Holds()
    for _ in range(2):
        trace(model, (2, 4))

    assert not model.resource.file.closed
