"""The formulas of output sizes: what stands in them gives what was recorded, and is what the documentation says."""

import re
from math import ceil, floor
from pathlib import Path

import pytest
import torch
from torch import nn

from pytest_archcheck import Trace, trace
from pytest_archcheck.graph.sizes import size_formula
from tests.models import recorded

ZOO = sorted((Path(__file__).parents[2] / "snapshots/tests/zoo/test_architectures").rglob("*.arch"))
PYTHON = str.maketrans({"·": "*", "−": "-", "⌊": "F", "⌋": ")", "⌈": "C", "⌉": ")"})


def worked_out(text):
    """The two sides of a formula, as numbers."""
    left, right = re.sub(r"\(a last.*?\)", "", text).split(" = ")
    code = right.translate(PYTHON).replace("F(", "floor((").replace("C(", "ceil((")
    return int(left), eval(code, {"floor": floor, "ceil": ceil})


@pytest.mark.parametrize("path", ZOO[::9], ids=lambda path: path.stem)
def test_every_formula_of_the_zoo_gives_the_recorded_size(path):
    seen = 0
    for call in Trace.from_text(path.read_text("utf-8")):
        for text in filter(None, size_formula(call).split(", ")):
            if "as asked for" in text or "padded to stay" in text:
                continue
            left, right = worked_out(text)
            assert left == right in call.outputs[0].shape
            seen += 1

    assert seen or "resnet" not in path.stem


def test_the_stem_of_resnet_reads_as_in_a_textbook():
    found = recorded("resnet18")

    assert size_formula(found["conv1"]) == "112 = ⌊(224 + 2·3 − 7)/2⌋ + 1"
    assert size_formula(found["maxpool"]) == "56 = ⌊(112 + 2·1 − 3)/2⌋ + 1"
    assert size_formula(found["layer1.0.conv1"]) == "56 = 56 + 2·1 − 3 + 1"
    assert size_formula(found["avgpool"]) == "1 = as asked for"
    assert size_formula(found["bn1"]) == size_formula(found["fc"]) == ""


@pytest.mark.parametrize(
    ("layer", "size", "text"),
    [
        (nn.Conv2d(3, 4, 3, dilation=2, stride=2), (17, 17), "7 = ⌊(17 − 2·(3 − 1) − 1)/2⌋ + 1"),
        (nn.Conv2d(3, 4, (1, 7), padding=(0, 3)), (9, 12), "9 = 9 − 1 + 1, 12 = 12 + 2·3 − 7 + 1"),
        (nn.Conv2d(3, 4, 3, padding="same"), (9, 9), "9 = 9 (padded to stay)"),
        (nn.Conv2d(3, 4, 3, padding="valid"), (9, 9), "7 = 9 − 3 + 1"),
        (nn.MaxPool2d(3, 2, ceil_mode=True), (8, 8), "4 = ⌈(8 − 3)/2⌉ + 1"),
        (
            nn.MaxPool2d(2, 2, padding=1, ceil_mode=True),
            (5, 5),
            "3 = ⌈(5 + 2·1 − 2)/2⌉ + 1 − 1 (a last window that begins in the padding)",
        ),
        (nn.AvgPool2d(2), (9, 9), "4 = ⌊(9 − 2)/2⌋ + 1"),
        (nn.LPPool2d(2, 3, 2), (9, 9), "4 = ⌊(9 − 3)/2⌋ + 1"),
        (
            nn.ConvTranspose2d(3, 4, 3, stride=2, padding=1, output_padding=1),
            (8, 8),
            "16 = (8 − 1)·2 − 2·1 + 1·(3 − 1) + 1 + 1",
        ),
    ],
)
def test_each_form(layer, size, text):
    """Also where a function does it instead of a layer."""
    found = trace(nn.Sequential(layer), (1, 3, *size), device="meta")

    assert size_formula(found["0"]) == text
    assert found["0"].output.shape == layer(torch.zeros(1, 3, *size)).shape


def test_functions_have_the_formulas_of_layers():
    class Net(nn.Module):
        def forward(self, x):
            x = nn.functional.max_pool2d(x, 3, 2, 1, ceil_mode=False)
            x = nn.functional.avg_pool2d(x, 2, ceil_mode=True)
            return nn.functional.conv2d(x, x.new_zeros(4, 3, 3, 3), stride=2, padding=1)

    found = trace(Net, (1, 3, 31, 31), device="meta")

    assert [size_formula(call) for call in found if size_formula(call)] == [
        "16 = ⌊(31 + 2·1 − 3)/2⌋ + 1",
        "8 = ⌈(16 − 2)/2⌉ + 1",
        "4 = ⌊(8 + 2·1 − 3)/2⌋ + 1",
    ]
