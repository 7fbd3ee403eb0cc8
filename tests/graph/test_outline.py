"""The outline of a trace: whatever is folded or closed, the numbers are the trace's own."""

from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_archcheck import Trace, trace
from pytest_archcheck.graph.outline import fold, outline
from tests.models import recorded

ZOO = sorted((Path(__file__).parents[2] / "snapshots/tests/zoo/test_architectures").rglob("*.arch"))


def total(found, number):
    return sum(number(unit) for unit in found.units)


@pytest.mark.parametrize("path", ZOO[::11], ids=lambda path: path.stem)
def test_the_units_of_the_zoo_sum_up_to_the_trace(path):
    model = Trace.from_text(path.read_text("utf-8"))

    found = outline(model)

    assert total(found, lambda unit: unit.macs) == model.macs
    assert total(found, lambda unit: unit.depth) == model.depth("paper")
    assert total(found, lambda u: u.params) + sum(u.params for u in found.unused) == model.params.total
    assert (
        total(found, lambda u: u.trainable) + sum(u.trainable for u in found.unused) == model.params.trainable
    )


def names_of(runs):
    return [(run.name, len(run.units)) for run in runs]


def test_blocks_that_are_alike_fold():
    """ResNet-50 has 3, 4, 6 and 3 blocks, of which the first of each stage has a projection."""
    found = outline(recorded("resnet50"))
    stage = next(unit for unit in found.units if unit.name == "layer3")

    assert names_of(fold(stage.parts, lambda unit: unit.form)) == [("layer3.0", 1), ("layer3.{1-5}", 5)]
    assert stage.depth == 3 * 6
    assert (
        sum(part.macs for part in stage.parts)
        == stage.macs
        == recorded("resnet50").mac_count.per_module["layer3"]
    )


class Odd(nn.Module):
    """Weights that nobody calls, that the parent uses itself, that lie in attention, and that are shared."""

    def __init__(self):
        super().__init__()
        self.token = nn.Parameter(torch.zeros(1, 1, 8))
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)
        self.shared = nn.Linear(8, 8)
        self.by_parent = nn.Linear(8, 8, bias=False)
        self.dead = nn.Sequential(nn.Linear(8, 4), nn.Linear(4, 8)).requires_grad_(False)

    def forward(self, x):
        x = x + self.token
        x = self.attention(x, x, x)[0]
        return self.shared(self.shared(x)) + nn.functional.linear(x, self.by_parent.weight)


def test_every_parameter_is_counted_where_it_is_first_used():
    found = outline(trace(Odd, (2, 4, 8), device="meta"))

    assert {unit.name: unit.params for unit in found.units if unit.params} == {
        ":add": 8,
        "attention": 3 * 8 * 9 + 8 * 9,
        "shared": 72,
        ":linear": 64,
    }
    assert [(u.name, u.kind, u.params, u.trainable) for u in found.unused] == [("dead", "Sequential", 76, 0)]


def test_what_is_not_counted_is_known_at_every_level():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Sequential(nn.Linear(8, 8), Fourier())

        def forward(self, x):
            return self.inner(x)

    class Fourier(nn.Module):
        def forward(self, x):
            return torch.fft.rfft(x).real

    found = outline(trace(Net, (2, 8), device="meta"))

    assert [unit.uncounted for unit in found.units] == [("inner.1:fft_rfft",)]


def test_nesting_of_a_thousand_levels_is_no_matter():
    """A text may be nested deeper than Python calls."""
    lines = ["archcheck 1", "model Net() eval", "in:x [1,8]"]
    names = ["a" + ".a" * depth for depth in range(1200)]
    lines += [f"{name} Sequential()(%in:x) -> %{names[-1]}.l [1,8]" for name in names]
    lines += [f"{names[-1]}.l ReLU()(%in:x) -> [1,8]", f"output %{names[-1]}.l [1,8]", "end"]

    found = outline(Trace.from_text("\n".join(lines) + "\n"))

    assert found.units[0].name == "a"
