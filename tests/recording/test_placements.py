"""The same record wherever a model can run, and what is said where it cannot."""

import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import RecordingError, UsageError, diff, trace
from tests.models import builder

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
MODELS = ["alexnet", "densenet121", "efficientnet_b0", "googlenet", "resnet50", "swin_t", "vit_b_16"]


class Branching(nn.Module):
    """Needs values: it branches on its input."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        return self.linear(x) if x.sum().item() < 1e9 else x


@pytest.mark.parametrize("name", MODELS)
def test_meta_and_cpu_give_the_same_text(name):
    model = builder(name)()

    assert trace(model, (1, 3, 224, 224), device="meta") == trace(model, (1, 3, 224, 224), device="cpu")


IMAGES = (2, 3, 64, 64)
OTHER_FAMILIES = {
    "lraspp_mobilenet_v3_large": IMAGES,
    "fcn_resnet50": IMAGES,
    "r3d_18": (1, 3, 8, 64, 64),
    "s3d": (1, 3, 16, 224, 224),
    "raft_small": ((1, 3, 128, 128), (1, 3, 128, 128)),
}


@pytest.mark.parametrize("name", OTHER_FAMILIES)
def test_segmentation_video_and_optical_flow_give_the_same_text(name):
    options = {"weights_backbone": None} if name in ("lraspp_mobilenet_v3_large", "fcn_resnet50") else {}
    model = torchvision.models.get_model(name, weights=None, **options)

    on_meta = trace(model, OTHER_FAMILIES[name], device="meta")

    assert on_meta.status == "complete"
    assert on_meta.to_text() == trace(model, OTHER_FAMILIES[name], device="cpu").to_text()


def test_a_detector_needs_values_and_is_counted_whole():
    """It is recorded on cpu, with the reason; suppression compares boxes and has no products."""
    model = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None
    )

    recorded = trace(model, [(3, 64, 64)], device="auto")

    assert recorded.status == "complete"
    assert recorded.mac_count.elementwise["torchvision.nms"] >= 1
    assert recorded.placement != "meta"
    assert any(note.startswith("meta: FasterRCNN failed at rpn") for note in recorded.notes)


@needs_cuda
@pytest.mark.parametrize("name", MODELS)
def test_cuda_gives_the_same_text(name):
    model = builder(name)()
    on_cuda = trace(model, (1, 3, 224, 224), device="cuda")

    assert on_cuda.placement == "cuda"
    assert on_cuda == trace(model, (1, 3, 224, 224), device="meta")
    assert {p.device.type for p in model.parameters()} == {"cpu"}


@pytest.mark.skipif(torch.cuda.is_available(), reason="auto takes CUDA here")
def test_auto_takes_meta_where_there_is_no_cuda():
    recorded = trace(nn.Linear(4, 4), (2, 4))

    assert (recorded.placement, recorded.notes) == ("meta", ())


def test_a_model_that_needs_values_is_recorded_on_a_real_device_and_that_is_said():
    recorded = trace(Branching(), (2, 4))

    assert recorded.placement in ("cpu", "cuda")
    if recorded.placement == "cpu":
        assert recorded.notes[-1].startswith("meta: Branching failed at the root")


def test_placement_and_notes_are_not_part_of_the_record():
    linear = nn.Linear(4, 4)
    first, second = trace(linear, (2, 4), device="meta"), trace(linear, (2, 4), device="cpu")

    assert first.placement != second.placement
    assert first == second
    assert first.to_text() == second.to_text()


def test_a_named_placement_is_not_left_for_another():
    with pytest.raises(RecordingError, match="failed at the root while it was recorded on meta"):
        trace(Branching(), (2, 4), device="meta")


def test_a_model_without_values_cannot_run_on_cpu_and_that_is_said():
    with torch.device("meta"):
        model = nn.Linear(4, 4)

    with pytest.raises(RecordingError, match="its tensors are on meta and have no values to run with on cpu"):
        trace(model, (2, 4), device="cpu")


class Autocast(nn.Module):
    """Casts where it runs; autocast does not know meta."""

    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        with torch.autocast("cuda" if x.is_cuda else "cpu", dtype=torch.bfloat16):
            return self.linear(x)


def test_autocast_is_recorded_where_it_works():
    recorded = trace(Autocast(), (2, 4))

    assert recorded.output.dtype == "bfloat16"
    assert recorded.placement != "meta"
    with pytest.raises(RecordingError, match="autocast does not reach tensors on meta"):
        trace(Autocast(), (2, 4), device="meta")


def test_a_compiled_model_is_recorded_as_the_model_that_it_is():
    """``torch.compile(model)`` and ``model.compile()`` compute the same and compile nothing here."""

    class Plain(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return self.linear(x).relu()

    plain = Plain()
    expected = trace(plain, (2, 4))

    assert trace(torch.compile(plain), (2, 4)) == expected
    plain.compile()
    assert trace(plain, (2, 4)) == expected


def test_an_empty_container_is_a_model():
    """It is falsy, as it has no items."""
    assert trace(nn.Sequential(), (2, 4), device="cpu").output.shape == (2, 4)


def test_an_unknown_device_is_told():
    with pytest.raises(UsageError, match="device='gpu' is none of auto, meta, cpu, cuda, cuda:0 or fake"):
        trace(nn.Linear(4, 4), (2, 4), device="gpu")


def test_a_missing_cuda_device_is_told():
    with pytest.raises(UsageError, match=r"device='cuda:99': this machine has (no|\d+) CUDA device"):
        trace(nn.Linear(4, 4), (2, 4), device="cuda:99")


def test_a_factory_that_cannot_build_on_meta_is_built_plainly():
    """RegNet calls ``.item()`` in its constructor; it is still recorded on meta."""
    recorded = trace(torchvision.models.regnet_y_400mf, (1, 3, 224, 224), device="meta")

    assert recorded.depth("paper") == 50
    assert recorded.params.total == torchvision.models.RegNet_Y_400MF_Weights.DEFAULT.meta["num_params"]


@pytest.mark.parametrize(
    "name", ["alexnet", "googlenet", "mobilenet_v3_small", "resnet50", "swin_t", "vit_b_16"]
)
def test_fake_gives_the_same_text(name):
    """A model built without memory, recorded without memory."""
    recorded = trace(builder(name), (1, 3, 224, 224), device="fake")

    assert recorded.placement == "fake"
    assert recorded.to_text() == trace(builder(name), (1, 3, 224, 224), device="meta").to_text()


class TellsItsDevice(nn.Module):
    """Cannot run on meta: it casts under autocast, which does not know that device."""

    def __init__(self, width=4):
        super().__init__()
        self.linear = nn.Linear(width, width)

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.linear(x)


def test_fake_is_the_last_rung_for_a_model_without_values():
    with torch.device("meta"):
        model = TellsItsDevice()

    recorded = trace(model, (2, 4))

    assert recorded.placement == "fake"
    assert [note.partition(":")[0] for note in recorded.notes][-2:] == ["meta", "cpu"]
    assert recorded == trace(TellsItsDevice(), (2, 4), device="cpu")


def test_a_model_too_large_for_the_machine_is_recorded_on_fake():
    """Four million million parameters: told, not tried."""
    recorded = trace(lambda: TellsItsDevice(2_000_000), (1, 2_000_000))

    assert recorded.placement == "fake"
    assert recorded.params.total == 4 * 10**12 + 2_000_000
    assert recorded.macs == 4 * 10**12
    assert any(
        "TellsItsDevice holds 14,901.2 GiB of parameters and buffers" in note for note in recorded.notes
    )


def test_a_model_with_values_is_not_taken_to_fake():
    class Broken(nn.Module):
        def forward(self, x):
            raise RuntimeError("broken")

    with pytest.raises(RecordingError) as caught:
        trace(Broken(), (2, 4))

    assert "recorded on fake" not in str(caught.value)
    assert "fake:" not in str(caught.value)


def test_a_model_that_branches_on_its_device_is_told_as_drift_between_placements():
    class Branches(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(4, 4)

        def forward(self, x):
            return self.linear(x) if x.is_meta else self.linear(x).relu()

    changes = diff(trace(Branches(), (2, 4), device="meta"), trace(Branches(), (2, 4), device="cpu")).changes

    assert changes[0].layer == ":relu"
