"""``archcheck show``: the table of a model. Its numbers are the trace's, at every width and in every form."""

import io
import re
from pathlib import Path

import pytest
import torch
from rich.console import Console
from torch import nn

from pytest_archcheck import Trace, trace
from pytest_archcheck.cli import main
from pytest_archcheck.reports.columns import COLUMNS
from pytest_archcheck.reports.rows import rows_of
from pytest_archcheck.reports.table import markdown, print_table
from tests.models import recorded

ZOO = sorted((Path(__file__).parents[2] / "snapshots/tests/zoo/test_architectures").rglob("*.arch"))


def printed(model, width=10_000, **options):
    console = Console(file=io.StringIO(), width=width, highlight=False, markup=False, emoji=False)
    print_table(model, console, **options)
    return console.file.getvalue()


def rows(text):
    """The rows of a table, by the first word."""
    return {line.split()[0]: re.split(r"\s{2,}", line.strip()) for line in text.splitlines() if line.strip()}


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("path", ZOO[::11], ids=lambda path: path.stem)
def test_the_closed_rows_of_the_zoo_sum_up_to_the_trace(path, full):
    model = Trace.from_text(path.read_text("utf-8"))

    closed = [row for row in rows_of(model, full=full) if not row.is_open]

    assert sum(row.macs for row in closed) == model.macs
    assert sum(row.params for row in closed) == model.params.total
    assert sum(row.trainable for row in closed) == model.params.trainable
    assert sum(row.depth for row in closed) == model.depth("paper")


def test_resnet_50_fits_on_a_screen_and_says_why_it_is_50():
    """Its blocks, those alike in one row, and how many of the 50 layers each holds; MACs worked out by hand."""
    text = printed(recorded("resnet50"))

    found = rows(text)
    assert len(text.splitlines()) < 30
    assert found["layer3"] == [
        "layer3",
        "Sequential",
        "[1,1024,14,14]",
        "18",
        "7,098,368",
        "1,464,336,384",
        "35.8 %",
    ]
    assert found["{1-5}"][:4] == ["{1-5}", "5 × Bottleneck", "[1,1024,14,14]", "15"]
    assert "MACs 4,089,184,256 (complete) · depth (paper) 50" in text


def test_full_has_a_row_for_every_call():
    model = recorded("resnet18")

    assert len(rows_of(model, full=True)) == len(model.calls)
    assert "layer1.0.conv1" not in printed(model)
    assert rows(printed(model, full=True))["conv2"][1] == "Conv2d"


@pytest.mark.parametrize(
    ("shapes", "text"),
    [
        ("full", "[1,64,112,112]"),
        ("times", "64×112×112"),
        ("maps", "64@112*112"),
        ("list", "[64, 112, 112]"),
    ],
)
def test_shapes_in_the_notation_of_choice(shapes, text):
    assert rows(printed(recorded("resnet18"), shapes=shapes))["conv1"][2] == text


def test_a_shape_without_the_batch_is_written_whole():
    class Net(nn.Module):
        def forward(self, x):
            return x.flatten(0, 1).mul(2.5), x.long()

    text = printed(trace(Net, (2, 3, 4), device="meta"), shapes="times", full=True)

    assert rows(text)[":mul"][2] == "[6,4]"
    assert rows(text)[":long"][2] == "int64 3×4"


def test_columns_to_choose(capsys):
    arguments = ("show", str(next(p for p in ZOO if p.stem == "test_torchvision[resnet18]")))

    assert main([*arguments, "--columns", "layer,macs,FLOPs"]) == 0
    header, first = capsys.readouterr().out.splitlines()[1:3]
    assert header.split() == ["layer", "MACs", "FLOPs"]
    assert first.split() == ["conv1", "118,013,952", "236,027,904"]
    main([*arguments, "--columns", "+formula,config"])
    header, first = capsys.readouterr().out.splitlines()[1:3]
    assert header.split() == "layer type config output formula depth parameters MACs share".split()
    assert "112 = ⌊(224 + 2·3 − 7)/2⌋ + 1" in first


def test_a_setting_that_ends_in_a_tuple_is_whole(capsys):
    main(["show", "--columns", "config", str(next(p for p in ZOO if p.stem == "test_torchvision[alexnet]"))])

    settings = [line.strip() for line in capsys.readouterr().out.splitlines()]
    assert "in_channels=3, out_channels=64, kernel_size=(11, 11), stride=(4, 4), padding=(2, 2)" in settings


def test_an_unknown_column_is_told_with_those_that_there_are(capsys):
    assert main(["show", "x.arch", "--columns", "layer,cost"]) == 2

    error = capsys.readouterr().err
    first, second = error.splitlines()
    assert first == f"archcheck: error: --columns: 'cost' is no column; name some of {', '.join(COLUMNS)}"
    assert second == "more: archcheck help show"


@pytest.mark.parametrize("width", [120, 80, 60, 40, 24])
def test_a_narrow_terminal_goes_without_columns_and_says_so(width):
    """No number is ever cut."""
    text = printed(recorded("resnet50"), width=width)

    lines = text.splitlines()
    assert all(len(line) <= width for line in lines)
    assert "…" not in text
    assert ("columns left out at this width" in text.replace("\n", " ")) == (width < 100)
    if width >= 40:
        assert rows(text)["fc"][-1 if width < 100 else -2] == "2,048,000"


def test_what_was_not_counted_is_never_a_number():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.last = nn.Linear(8, 8), Fourier()

        def forward(self, x):
            return self.last(self.first(x))

    class Fourier(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = nn.Linear(8, 8)

        def forward(self, x):
            return torch.fft.rfft(self.inner(x)).real

    model = trace(Net, (1, 8), device="meta")
    text = printed(model, columns=("layer", "MACs", "FLOPs"))

    assert rows(text)["last"] == ["last", "≥ 64", "≥ 128"]
    assert rows(printed(model, columns=("layer", "MACs"), full=True))[":fft_rfft"][1] == "not counted"
    assert "MACs ≥ 128 (partial: last:fft_rfft not counted)" in text
    assert "%" not in printed(model)


def test_parameters_that_nothing_uses_have_a_row():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.dead = nn.Linear(8, 8), nn.Sequential(nn.Linear(8, 8))

        def forward(self, x):
            return self.used(x)

    assert rows(printed(trace(Net, (1, 8), device="meta")))["dead"] == ["dead", "Sequential, not used", "72"]


def test_names_that_look_like_markup_are_names():
    """rich's, Markdown's and emoji's."""
    model = nn.Sequential()
    for name in ("[red]x[/red]", ":smile:", "a|b", "<b>c", "*d*"):
        model.add_module(name, nn.ReLU())
    recorded_model = trace(model, (1, 8), device="meta")

    text = printed(recorded_model, full=True)
    assert all(name in text for name in ("[red]x[/red]", ":smile:", "a|b", "<b>c", "*d*"))
    told = markdown(recorded_model, full=True)
    assert all(escaped in told for escaped in (r"\[red\]x", r"a\|b", r"\<b\>c", r"\*d\*"))


def test_markdown_keeps_the_indentation_and_aligns_numbers():
    told = markdown(recorded("resnet18")).splitlines()

    assert told[0] == "### torchvision.models.resnet.ResNet"
    assert told[5] == "| --- | --- | --- | ---: | ---: | ---: | ---: |"
    assert any(line.startswith("| \u2003\\{0,1\\} | 2 × BasicBlock |") for line in told)
    assert told[-3] == "- MACs 1,814,073,344 (complete) · depth (paper) 18"
