"""The command ``archcheck graph``: a picture as a file or as text, with and without Graphviz."""

import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from pytest_archcheck import UsageError, trace
from pytest_archcheck.cli import main
from pytest_archcheck.reports.drawing import draw, svg
from tests.models import builder, recorded

STARTS = {"svg": b"<?xml", "png": b"\x89PNG", "pdf": b"%PDF", "dot": b"digraph", "mmd": b"flowchart TD"}


@pytest.fixture
def files(tmp_path, monkeypatch):
    """ResNet-18 and the same with a stride moved, in the present folder."""
    monkeypatch.chdir(tmp_path)
    model = builder("resnet18")()
    model.layer2[0].conv1.stride, model.layer2[0].conv2.stride = (1, 1), (2, 2)
    Path("a.arch").write_text(recorded("resnet18").to_text(), "utf-8")
    Path("b.arch").write_text(trace(model, (1, 3, 224, 224), device="meta").to_text(), "utf-8")
    return tmp_path


@pytest.fixture
def no_graphviz(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", str(tmp_path))


def run(capfd, *arguments):
    """Exit status and all that reached the terminal."""
    status = main(arguments)
    captured = capfd.readouterr()
    return status, captured.out, captured.err


@pytest.mark.parametrize("form", STARTS)
def test_the_name_says_the_form_and_nothing_is_printed(files, capfd, form):
    assert run(capfd, "graph", "a.arch", "-o", f"net.{form}") == (0, "", "")
    assert Path(f"net.{form}").read_bytes().startswith(STARTS[form])
    assert sorted(path.name for path in files.iterdir()) == ["a.arch", "b.arch", f"net.{form}"]


def test_without_a_file_dot_is_printed(files, capfd):
    status, out, err = run(capfd, "graph", "a.arch")

    assert (status, err) == (0, "")
    assert out.startswith("digraph architecture {")
    assert run(capfd, "graph", "a.arch", "--mermaid")[1].startswith("flowchart TD\n")


def test_a_model_is_recorded_first(files, capfd):
    recorded_now = run(
        capfd, "graph", "torchvision.models:resnet18", "--input", "1x3x224x224", "--device", "meta"
    )

    assert recorded_now == run(capfd, "graph", "a.arch")


def test_what_changed_is_marked(files, capfd):
    status, out, _ = run(capfd, "graph", "b.arch", "--against", "a.arch")

    assert status == 0
    assert out.count("[behaviour] stride") == 2
    assert "ResNet drifted: layer2.0.conv1 stride (2, 2) → (1, 1) and 1 more" in out


def test_the_path_of_another_convention(files, capfd):
    assert "depth 21 (weighted)" in run(capfd, "graph", "a.arch", "--convention", "weighted")[1]
    assert "unknown depth convention 'papr'" in run(capfd, "graph", "a.arch", "--convention", "papr")[2]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (
            ["a.arch", "-o", "net.gif"],
            "-o net.gif: the name says what to write, and ends in one of .svg, .png, .pdf, .dot, .mmd",
        ),
        (["a.arch", "-o", "net"], "-o net: the name says what to write"),
        (["a.arch", "-o", "gone/net.dot"], "-o gone/net.dot: No such file or directory"),
        (["a.arch", "-o", "net.dot", "--mermaid"], "--mermaid goes without -o"),
        (["a.arch", "--input", "1x3"], "--input goes with a model to be recorded"),
        (["none.arch"], "none.arch: No such file"),
    ],
)
def test_errors_are_one_line(files, capfd, arguments, told):
    status, out, err = run(capfd, "graph", *arguments)

    assert (status, out) == (2, "")
    assert err.startswith(f"archcheck: error: {told}")
    assert [line.partition(":")[0] for line in err.splitlines()] == ["archcheck", "more"]
    assert sorted(path.name for path in files.iterdir()) == ["a.arch", "b.arch"]


def test_without_graphviz_texts_are_written_and_the_rest_says_what_to_install(files, no_graphviz, capfd):
    assert run(capfd, "graph", "a.arch", "-o", "net.svg") == (
        2,
        "",
        "archcheck: error: Graphviz is not installed, and a .svg file is drawn by it: "
        'pip install "pytest-archcheck[graph]"; .dot and .mmd files need none\nmore: archcheck help graph\n',
    )
    assert not Path("net.svg").exists()
    assert run(capfd, "graph", "a.arch", "-o", "net.dot")[0] == 0
    assert run(capfd, "graph", "a.arch", "-o", "net.mmd")[0] == 0
    assert svg(recorded("resnet18")) is None


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for the program")
def test_the_program_dot_draws_where_there_is_no_pygraphviz(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "dot").write_text("#!/bin/sh\necho warned >&2\necho drawn as $1\n", "utf-8")
    (tmp_path / "dot").chmod(0o755)

    assert draw("digraph {}", "png") == b"drawn as -Tpng\n"


@pytest.mark.skipif(sys.platform == "win32", reason="a script stands for the program")
def test_a_graphviz_that_fails_is_told_in_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pygraphviz", None)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (tmp_path / "dot").write_text("#!/bin/sh\necho no room >&2\nexit 1\n", "utf-8")
    (tmp_path / "dot").chmod(0o755)

    with pytest.raises(UsageError, match=r"^Graphviz could not draw the \.png file: no room; a \.dot or"):
        draw("digraph {}", "png")


def test_a_picture_of_a_file_needs_no_torch(files):
    code = """
import sys
sys.modules["torch"] = None
from pytest_archcheck.cli import main
sys.exit(main(["graph", "b.arch", "--against", "a.arch", "-o", "net.svg"]))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ET.parse("net.svg").getroot().tag.endswith("svg")
