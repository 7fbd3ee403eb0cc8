"""The ways of counting by name: fvcore's by hand, ptflops and torch as they are when called directly."""

import subprocess
import sys
from pathlib import Path

import ptflops
import pytest
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pytest_archcheck import RecordingError, UsageError, count, trace
from tests.costs.by_hand import MODELS
from tests.models import builder, recorded

IMAGE = (1, 3, 224, 224)


def ptflops_alone(model, backend):
    """What ptflops says without us."""
    total, _ = ptflops.get_model_complexity_info(
        model, (3, 64, 64), as_strings=False, print_per_layer_stat=False, backend=backend
    )
    return total


@pytest.mark.parametrize("name", ["resnet18", "swin_t", "mobilenet_v3_small"])
@pytest.mark.parametrize(("counter", "backend"), [("ptflops", "pytorch"), ("ptflops-aten", "aten")])
def test_ptflops_says_through_us_what_it_says_alone(name, counter, backend):
    found = count(builder(name), (1, 3, 64, 64), counter=counter)

    assert found.total == ptflops_alone(builder(name)().eval(), backend)
    assert (found.counter, found.placement) == (counter, "cpu" if not torch.cuda.is_available() else "cuda")


def test_ptflops_is_higher_by_what_it_adds_and_lower_by_what_it_misses():
    """ORACLES: 1.825 G for ResNet-18's 1.814, and 3.128 G for Swin-T's 4.491, whose attention it does not see."""
    found = {name: count(builder(name), IMAGE, counter="ptflops").total for name in ("resnet18", "swin_t")}

    assert {name: round(total / 1e9, 3) for name, total in found.items()} == {
        "resnet18": 1.825,
        "swin_t": 3.128,
    }


@pytest.mark.parametrize("device", ["meta", "cpu"])
def test_torchs_counter_is_halved_to_macs(device):
    with FlopCounterMode(display=False) as counter:
        torchvision.models.resnet18().to(device).eval()(torch.zeros(1, 3, 64, 64, device=device))

    found = count(torchvision.models.resnet18, (1, 3, 64, 64), counter="torch", device=device)

    assert 2 * found.total == counter.get_total_flops()
    assert (found.version, found.placement) == (torch.__version__.partition("+")[0], device)


def namespace():
    """Everything that ptflops replaces lives here."""
    return {id(owner): dict(vars(owner)) for owner in (torch, F, torch.Tensor)}


class Raises(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(4, 4)

    def forward(self, x):
        F.relu(self.layer(x[..., :4])) @ torch.zeros(4, 4)
        raise ValueError("no way on")


@pytest.mark.parametrize("counter", ["ptflops", "ptflops-aten", "torch"])
def test_nothing_is_left_behind(counter):
    """Functions of torch, the model's flags, hooks and attributes, also where the model raises in the middle."""
    before, imported = namespace(), {name: sys.modules.get(name) for name in list(sys.modules)}
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), Raises())
    model[1].eval()
    flags = [module.training for module in model.modules()]
    attributes = [set(vars(module)) for module in model.modules()]

    count(model[:3], (1, 3, 8, 8), counter=counter)
    with pytest.raises(
        RecordingError,
        match=f"{counter} could not count Sequential on .*: ValueError: no way on\n  do: see whether trace",
    ):
        count(model, (1, 3, 8, 8), counter=counter, device="cpu")

    assert namespace() == before
    assert {name: module for name, module in sys.modules.items() if name in imported} == imported
    assert [module.training for module in model.modules()] == flags
    assert [set(vars(module)) for module in model.modules()] == attributes
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


ISOLATION = """
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

from pytest_archcheck import count

KNOWN = {known}
if KNOWN:
    import ptflops


def namespace():
    owners = (torch, F, torch.Tensor)
    return [{{name: value for name, value in vars(owner).items() if callable(value)}} for owner in owners]


class Stops(nn.Module):
    def forward(self, x):
        F.relu(x) @ x
        raise KeyboardInterrupt


before = namespace()
imported = sys.modules.get("ptflops")
count(nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU()), (1, 3, 8, 8), counter="ptflops")
assert namespace() == before
try:
    count(Stops(), (4, 4), counter="ptflops")
except KeyboardInterrupt:
    print("stopped")
assert namespace() == before
assert sys.modules.get("ptflops") is imported
"""


@pytest.mark.parametrize("known", [False, True])
def test_nothing_is_left_behind_in_a_process_that_ptflops_did_not_touch_before(known):
    """By itself it leaves entries on ``torch.Tensor``, and its wrappers where somebody stops it."""
    code = ISOLATION.format(known=known)
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (result.stdout, result.returncode) == ("stopped\n", 0), result.stderr


def test_ptflops_works_after_another_tool_has_wrapped_the_same_functions(monkeypatch):
    """By itself it finds a wrapped function by identity, and dies with a ``KeyError``."""
    original = F.relu

    def wrapped(*args, **kwargs):
        return original(*args, **kwargs)

    expected = count(builder("resnet18"), (1, 3, 64, 64), counter="ptflops").total
    monkeypatch.setattr(F, "relu", wrapped)
    with pytest.raises(KeyError):
        ptflops_alone(builder("resnet18")().eval(), "pytorch")
    monkeypatch.undo()
    monkeypatch.setattr(F, "relu", wrapped)

    assert count(builder("resnet18"), (1, 3, 64, 64), counter="ptflops").total == expected
    assert F.relu is wrapped


@pytest.mark.parametrize("counter", ["ptflops", "torch"])
def test_a_forward_that_writes_to_its_parameters_writes_to_copies(counter):
    class Writes(nn.Module):
        def __init__(self):
            super().__init__()
            self.w = nn.Parameter(torch.zeros(4, 4))

        def forward(self, x):
            with torch.no_grad():
                self.w.add_(1)
            return x @ self.w

    model = Writes()
    count(model, (2, 4), counter=counter, device="cpu")

    assert not model.w.any()


def test_a_batch_is_divided_as_ptflops_divides_it():
    """Modules are counted for one sample, functions for the whole batch."""
    one, four = (count(nn.Linear(6, 5), (batch, 6), counter="ptflops").total for batch in (1, 4))

    assert one == four == 6 * 5 + 5


def test_several_inputs_and_keywords_reach_a_second_counter():
    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(6, 5)

        def forward(self, a, *, b):
            return self.layer(a + b)

    for counter, added in (("torch", 0), ("ptflops", 5)):
        found = count(Two(), (1, 6), kwargs={"b": torch.zeros(1, 6)}, counter=counter)
        assert found.total == 30 + added


RATES = {
    "batch norm": (lambda: nn.BatchNorm2d(4), (2, 4, 5, 5), 200, 2),
    "batch norm without weights": (lambda: nn.BatchNorm2d(4, affine=False), (2, 4, 5, 5), 200, 1),
    "batch norm of the batch": (lambda: nn.BatchNorm2d(4, track_running_stats=False), (2, 4, 5, 5), 200, 5),
    "layer norm": (lambda: nn.LayerNorm(6), (2, 3, 6), 36, 5),
    "layer norm without weights": (lambda: nn.LayerNorm(6, elementwise_affine=False), (2, 3, 6), 36, 4),
    "group norm": (lambda: nn.GroupNorm(2, 4), (2, 4, 5), 40, 5),
    "instance norm": (lambda: nn.InstanceNorm2d(4), (2, 4, 5, 5), 200, 4),
    "instance norm with weights": (lambda: nn.InstanceNorm2d(4, affine=True), (2, 4, 5, 5), 200, 5),
    "adaptive pooling": (lambda: nn.AdaptiveAvgPool2d(1), (2, 4, 5, 5), 200, 1),
    "nearest": (lambda: nn.Upsample(scale_factor=2), (2, 4, 5, 5), 800, 1),
    "bilinear": (lambda: nn.Upsample(scale_factor=2, mode="bilinear"), (2, 4, 5, 5), 800, 4),
    "pooling": (lambda: nn.MaxPool2d(2), (2, 4, 6, 6), 288, 0),
    "activation": (nn.GELU, (2, 4), 8, 0),
}


class Functional(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, x):
        return self.function(x)


FUNCTION_RATES = {
    "batch norm": (lambda x: F.batch_norm(x, x.new_zeros(4), x.new_ones(4)), (2, 4, 5, 5), 200, 1),
    "batch norm in training": (lambda x: F.batch_norm(x, None, None, training=True), (2, 4, 5, 5), 200, 4),
    "layer norm": (lambda x: F.layer_norm(x, (6,)), (2, 3, 6), 36, 4),
    "layer norm with weights": (lambda x: F.layer_norm(x, (6,), x.new_ones(6)), (2, 3, 6), 36, 5),
    "group norm": (lambda x: F.group_norm(x, 2, weight=x.new_ones(4)), (2, 4, 5), 40, 5),
    "adaptive pooling": (lambda x: F.adaptive_avg_pool2d(x, 1), (2, 4, 5, 5), 200, 1),
    "nearest": (lambda x: F.interpolate(x, scale_factor=2), (2, 4, 5, 5), 800, 1),
    "bilinear": (lambda x: F.interpolate(x, scale_factor=2, mode="bilinear"), (2, 4, 5, 5), 800, 4),
    "bicubic": (lambda x: F.interpolate(x, scale_factor=2, mode="bicubic"), (2, 4, 5, 5), 800, 0),
    "of a sequence": (lambda x: F.interpolate(x, scale_factor=2), (2, 4, 5), 80, 0),
    "sampling": (
        lambda x: F.grid_sample(x, x.new_zeros(2, 3, 3, 2), align_corners=False),
        (2, 4, 5, 5),
        72,
        4,
    ),
}


@pytest.mark.parametrize(
    ("model", "shape", "elements", "rate"),
    [*RATES.values(), *((lambda f=f: Functional(f), *rest) for f, *rest in FUNCTION_RATES.values())],
    ids=[*RATES, *(f"F {name}" for name in FUNCTION_RATES)],
)
def test_fvcores_rates(model, shape, elements, rate):
    """Read off ``fvcore.nn.jit_handles``: a rate for each element of the operand, or of an interpolated result."""
    found = trace(model, shape)

    assert found.macs == 0
    assert found.count("fvcore").total == rate * elements


def test_fvcores_total_is_macs_and_what_it_adds():
    """ResNet-18: two for each element of twenty batch norms, and the 512 × 7 × 7 that are pooled."""
    found = recorded("resnet18")
    normed = sum(call.output.numel for call in found.layers if call.type == "BatchNorm2d")

    assert found.count("fvcore").total == found.macs + 2 * normed + 512 * 49
    assert (
        found.count("fvcore").per_module["layer1"] - found.mac_count.per_module["layer1"]
        == 4 * 2 * 64 * 56 * 56
    )


def test_flops_are_twice_the_macs_of_every_call():
    found = recorded("resnet18")

    assert found.count("flops").total == found.flops == 2 * found.macs
    assert found.count("flops").per_call["fc"] == 2 * 512 * 1000


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda: recorded("resnet18").count("ptflop"), "unknown counter 'ptflop': did you mean 'ptflops'"),
        (
            lambda: recorded("resnet18").count("torch"),
            r"torch runs the model itself; call pytest_archcheck.count",
        ),
        (
            lambda: count(nn.ReLU(), (1,), counter="thop"),
            "the counters are macs, flops, fvcore, ptflops, ptfl",
        ),
        (lambda: count(nn.ReLU(), (1,), counter="ptflops", device="meta"), "ptflops counts wrongly on meta"),
        (lambda: count(nn.ReLU(), (1,), counter="ptflops", train=True), "counts in evaluation mode only"),
        (lambda: count("net", (1,), counter="ptflops"), r"count\(\) was given str 'net': give an nn.Module"),
    ],
)
def test_what_cannot_be_counted_is_told(ask, message):
    with pytest.raises(UsageError, match=message):
        ask()


BENCH = (Path(__file__).parents[2] / "bench" / "accuracy.md").read_text("utf-8")
ROWS = {
    cells[0]: cells
    for cells in ([cell.strip() for cell in line.strip("| ").split("|")] for line in BENCH.splitlines())
    if cells[0] in MODELS
}


@pytest.mark.parametrize("name", sorted(MODELS.keys() - {"vit_b_16", "vit_l_16"}))
def test_fvcores_convention_is_what_fvcore_says(name):
    """As ``bench/accuracy.md`` holds it, to the unit; of the attention of ViT it misses two products."""
    added = int(ROWS[name][4].replace(",", ""))

    assert recorded(name).count("fvcore").total - recorded(name).macs == added


def test_the_bench_says_that_ours_is_exact():
    assert all(row[1].replace(",", "") == str(MODELS[name]) and row[2] == "0" for name, row in ROWS.items())
    assert len(ROWS) == 20
    assert "| exact, of 35 | | 35 |" in BENCH
