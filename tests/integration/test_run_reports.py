"""What a run says and writes: the header, the section, JUnit, JSON, the step summary; in every way to run pytest."""

import json
import re
from importlib import resources
from pathlib import Path
from xml.etree import ElementTree

import jsonschema
import pytest

from tests.integration.support import MODELS, in_process, in_subprocess, text_of

SCHEMA = json.loads(
    resources.files("pytest_archcheck.reports").joinpath("report.schema.json").read_text("utf-8")
)

TESTS = """
import torchvision

@arch(torchvision.models.resnet18, inputs=(1, 3, 224, 224))
@arch_depth(18, convention="paper")
@arch_params(11_689_512)
def test_resnet18():
    pass

@arch(Net, inputs=IMAGE)
@arch_depth(3, convention="paper")
@arch_gradients()
def test_net():
    pass

class Fourier(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(8, 8)

    def forward(self, x):
        return torch.fft.rfft(self.linear(x)).real

import torch

@arch(Fourier, inputs=(1, 8))
@arch_depth(1, convention="paper")
def test_fourier():
    pass

@arch(Fourier, inputs=(1, 9))
@arch_depth(1, convention="paper")
def test_other_inputs():
    pass

def test_of_something_else():
    pass
"""


@pytest.fixture(autouse=True)
def no_runner(monkeypatch):
    """Our own tests may run on GitHub, and their runs inside write no summary there."""
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)


def section(result):
    """The lines of the section ``architecture``."""
    lines = result.outlines
    start = next((at for at, line in enumerate(lines) if re.fullmatch(r"-+ architecture -+", line)), None)
    return [] if start is None else lines[start + 1 : start + 4]


def test_a_run_has_one_line_in_the_header_and_a_section_at_the_end(pytester):
    result = in_process(pytester, TESTS)

    header = [line for line in result.outlines if line.startswith("archcheck:")]
    assert len(header) == 1
    assert re.fullmatch(
        r"archcheck: .*, torch 2\..*, recording on auto, drift that fails: all but cosmetic", header[0]
    )
    assert section(result)[0] == "4 tests of architecture: 2 not as stated"


@pytest.mark.parametrize(
    ("options", "brief"),
    [(["-q"], ["architecture: of 4 tests 2 not as stated"]), (["-q", "-k", "resnet18"], [])],
)
def test_quiet_is_a_line_and_only_where_something_is_wrong(pytester, options, brief):
    result = in_process(pytester, TESTS, *options)

    assert section(result) == []
    assert [line for line in result.outlines if line.startswith("architecture")] == brief


def test_a_project_without_architecture_hears_nothing(pytester, monkeypatch):
    summary = pytester.path / "summary.md"
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(summary))

    result = in_process(pytester, "def test_other():\n    pass\n")

    assert section(result) == []
    assert not summary.exists()


def test_json_is_what_the_schema_says_with_the_figures_that_are_published(pytester):
    """ResNet-18's are torchvision's metadata and the paper's depth."""
    in_process(pytester, TESTS, "--arch-json", "out/run.json")

    data = json.loads((pytester.path / "out/run.json").read_text("utf-8"))
    jsonschema.validate(data, SCHEMA, cls=jsonschema.Draft202012Validator)
    tests = {test["test"].rpartition("::")[2]: test for test in data["tests"]}
    assert [test["test"] for test in data["tests"]] == sorted(test["test"] for test in data["tests"])
    resnet = data["models"][tests["test_resnet18"]["model"]]
    assert (resnet["parameters"], resnet["macs"], resnet["flops"]) == (
        11_689_512,
        1_814_073_344,
        3_628_146_688,
    )
    assert (resnet["depth"], resnet["stages"], resnet["status"]) == ({"paper": 18}, [2, 2, 2, 2], "complete")
    assert data["models"][tests["test_fourier"]["model"]]["status"] == "partial: :fft_rfft not counted"
    assert [(s["text"], s["holds"]) for s in tests["test_net"]["statements"]] == [
        ("@arch_depth(3, convention='paper')", False),
        ("@arch_gradients()", True),
    ]
    assert tests["test_other_inputs"]["outcome"] == "error"
    assert (
        "Fourier failed at linear while it was recorded"
        in tests["test_other_inputs"]["statements"][0]["found"]
    )
    assert tests["test_resnet18"]["seconds"] > 0


def test_junit_has_the_figures_and_a_row_for_each_statement(pytester):
    in_process(pytester, TESTS, "--junitxml=junit.xml")

    cases = {
        case.get("name"): case for case in ElementTree.parse(pytester.path / "junit.xml").iter("testcase")
    }
    found = [(p.get("name"), p.get("value")) for p in cases["test_resnet18"].iter("property")]
    assert found == [
        ("arch_model", "torchvision.models.resnet.ResNet"),
        ("arch_depth_paper", "18"),
        ("arch_params", "11689512"),
        ("arch_macs", "1814073344"),
        ("arch_status", "complete"),
        ("arch_statement", "@arch_depth(18, convention='paper'): holds"),
        ("arch_statement", "@arch_params(11689512): holds"),
    ]
    told = [p.get("value") for p in cases["test_net"].iter("property") if p.get("name") == "arch_statement"]
    assert told[0].startswith("@arch_depth(3, convention='paper'): violated: expected 3 layers")
    assert not list(cases["test_of_something_else"].iter("property"))


def test_under_xdist_all_is_said_once_by_the_controller(pytester, monkeypatch):
    """A snapshot that is the same, and one that drifted; what each worker saw is in one file."""
    source = """
import pytest
from torch import nn
from models import Net
from pytest_archcheck import arch, arch_depth

@arch(Net, inputs=(1, 3, 8, 8))
@arch_depth(2, convention="paper")
def test_same(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot

@arch(lambda: Net(act=nn.ACT), inputs=(1, 3, 8, 8))
def test_drifts(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot
"""
    pytester.makepyfile(models=MODELS, test_it=source.replace("ACT", "ReLU"))
    in_subprocess(pytester, "--snapshot-update").assert_outcomes(passed=2)
    pytester.makepyfile(test_it=source.replace("ACT", "GELU"))
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))
    (pytester.path / "summary.md").write_text("# before\n", "utf-8")

    result = in_subprocess(pytester, "-n", "2", "--arch-json", "run.json", "--junitxml=junit.xml")

    result.assert_outcomes(passed=1, failed=1)
    assert section(result)[:2] == [
        "2 tests of architecture: 1 not as stated",
        "snapshots: 1 the same, 1 drifted (behaviour)",
    ]
    summary = (pytester.path / "summary.md").read_text("utf-8")
    assert summary.startswith("# before\n## Architecture\n")
    assert summary.count("## Architecture") == 1
    assert "- drifts drifted: act class ReLU → GELU · behaviour" in summary
    assert "| failed | test\\_it.py::test\\_drifts | models.Net | 2 | 314 |" in summary
    data = json.loads((pytester.path / "run.json").read_text("utf-8"))
    jsonschema.validate(data, SCHEMA)
    assert len(data["models"]) == 2
    states = [(s["state"], s["severity"]) for test in data["tests"] for s in test["snapshots"]]
    assert states == [("drifted", "behaviour"), ("same", None)]
    names = [p.get("value") for p in ElementTree.parse(pytester.path / "junit.xml").iter("property")]
    assert "same: same" in names
    assert any(name.startswith("drifts: drifted, drifts drifted: act class ReLU → GELU") for name in names)


def test_the_tables_are_as_wide_as_the_terminal_and_piped_without_colour(pytester, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")

    result = in_process(pytester, TESTS, "--arch-summary", "-k", "resnet18")

    text = text_of(result)
    table = text[text.index("test_it.py::test_resnet18\ntorchvision") :].splitlines()
    assert "\x1b" not in text
    assert max(map(len, table[:20])) <= 60
    assert any(line.startswith("columns left out at this width") for line in table)
    assert "MACs 1,814,073,344 (complete) · depth (paper) 18" in text


def test_the_tables_have_colours_where_pytest_has(pytester):
    result = in_process(pytester, TESTS, "--arch-summary", "-k", "resnet18", "--color=yes")

    assert "\x1b[1mlayer" in text_of(result)


def test_the_page_has_every_test_and_every_statement(pytester):
    result = in_process(pytester, TESTS, "--arch-report", "out/arch.html")

    page = (pytester.path / "out/arch.html").read_text("utf-8")
    assert "written: out/arch.html" in text_of(result)
    for name in ("test_resnet18", "test_net", "test_fourier", "test_other_inputs"):
        assert f"test_it.py::{name}" in page
    assert "@arch_params(11689512)" in page
    assert "1,814,073,344" in page
    assert "test_of_something_else" not in page


NAMES = """
class Odd(nn.Module):
    def __init__(self):
        super().__init__()
        self.add_module("a|b<script>*x*", nn.Linear(8, 8))

    def forward(self, x):
        return self._modules["a|b<script>*x*"](x)

@pytest.mark.parametrize("name", ["<img src=x>|*a*"])
@arch(Odd, inputs=(1, 8))
@arch_shapes({"a|b*": ("B", 9)})
def test_odd(name):
    pass
"""


def test_names_with_markup_are_text_in_the_summary(pytester, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(pytester.path / "summary.md"))

    in_process(pytester, NAMES)

    summary = (pytester.path / "summary.md").read_text("utf-8")
    assert not {"<img", "<script"} & set(re.findall(r"(?<!\\)<\w+", summary))
    assert r"\<img src=x\>\|\*a\*" in summary
    assert "<summary>test_it.py::test_odd[&lt;img src=x&gt;|*a*]</summary>" in summary


def test_what_fails_for_another_reason_is_told_apart(pytester):
    test = """
@arch(Net, inputs=IMAGE)
@arch_depth(2, convention="paper")
def test_body():
    assert 1 == 2
"""
    assert section(in_process(pytester, test))[0] == "1 test of architecture: 1 failed otherwise"


def test_without_syrupy_the_fixture_is_missing_and_the_run_goes_on(pytester):
    test = """
@arch(Net, inputs=IMAGE)
def test_snapshot(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot

@arch(Net, inputs=IMAGE)
@arch_depth(2, convention="paper")
def test_depth():
    pass
"""
    result = in_process(pytester, test)

    result.assert_outcomes(passed=1, errors=1)
    assert "fixture 'snapshot' not found" in text_of(result)


@pytest.mark.parametrize("option", ["--arch-json", "--arch-report"])
def test_a_name_of_another_kind_is_refused_before_anything_runs(pytester, option):
    result = in_process(pytester, TESTS, option, "report.txt")

    suffix = ".json" if option.endswith("json") else ".html"
    assert f"{option} report.txt: expected the name of a file that ends in {suffix}" in text_of(result)
    assert result.ret == pytest.ExitCode.USAGE_ERROR


def test_what_cannot_be_written_is_told_and_changes_no_outcome(pytester):
    (pytester.path / "file").write_text("", "utf-8")

    result = in_process(pytester, TESTS, "-k", "resnet18", "--arch-json", "file/run.json")

    assert re.search(r"not written: file/run.json: (Not a directory|File exists)", text_of(result))
    result.assert_outcomes(passed=1, deselected=4)


def test_nothing_is_written_by_a_collection(pytester):
    in_process(pytester, TESTS, "--collect-only", "--arch-json", "run.json")

    assert not Path(pytester.path / "run.json").exists()
