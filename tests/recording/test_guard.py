"""What a recording must not touch, beyond the small models: processes, threads, wrappers, memory."""

import threading
import weakref

import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import trace
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
