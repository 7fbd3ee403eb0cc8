"""The command ``archcheck``: its three verbs, its exit statuses, and its errors."""

import gc
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pytest_archcheck import Trace, trace
from pytest_archcheck.cli import main
from tests.integration.support import MODELS
from tests.models import builder, recorded


@pytest.fixture
def files(tmp_path, monkeypatch):
    """ResNet-18, the same with a stride moved, and a class renamed; in the present folder."""
    monkeypatch.chdir(tmp_path)
    text = recorded("resnet18").to_text()
    model = builder("resnet18")()
    model.layer2[0].conv1.stride, model.layer2[0].conv2.stride = (1, 1), (2, 2)
    Path("a.arch").write_text(text, "utf-8")
    Path("b.arch").write_text(trace(model, (1, 3, 224, 224), device="meta").to_text(), "utf-8")
    Path("c.arch").write_text(text.replace("torchvision.models.resnet.ResNet", "mine.ResNet"), "utf-8")
    Path("models.py").write_text(MODELS, "utf-8")
    return tmp_path


def run(capsys, *arguments):
    """Exit status and what was printed."""
    status = main(arguments)
    captured = capsys.readouterr()
    return status, captured.out, captured.err


# -- diff --------------------------------------------------------------------------------------------


def test_no_drift_is_status_0(files, capsys):
    assert run(capsys, "diff", "a.arch", "a.arch") == (0, "a: no drift\n", "")


def test_the_garbage_collector_is_on_again_for_who_calls_it_from_python(files, capsys):
    gc.enable()
    run(capsys, "diff", "a.arch", "b.arch")

    assert gc.isenabled()


def test_drift_is_status_1_and_its_cause_the_first_line(files, capsys):
    status, out, _ = run(capsys, "diff", "a.arch", "b.arch")

    assert status == 1
    assert out.splitlines()[0].startswith(
        "ResNet drifted: layer2.0.conv1 stride (2, 2) → (1, 1) and 1 more · behaviour"
    )


def test_cosmetic_drift_is_drift_unless_told_otherwise(files, capsys):
    assert run(capsys, "diff", "a.arch", "c.arch")[0] == 1
    assert run(capsys, "diff", "a.arch", "c.arch", "--fail-on", "breaking,behaviour,training,cost")[0] == 0
    assert run(capsys, "diff", "a.arch", "b.arch", "--fail-on", "behaviour")[0] == 1
    assert run(capsys, "diff", "a.arch", "b.arch", "--fail-on", "none")[0] == 0


def test_drift_for_programs(files, capsys):
    status, out, _ = run(capsys, "diff", "a.arch", "b.arch", "--json")
    data = json.loads(out)

    assert status == 1
    assert (data["drift"], data["severity"]) == (True, "behaviour")
    assert data["changes"][0] == {
        "layer": "layer2.0.conv1",
        "attribute": "stride",
        "before": "(2, 2)",
        "after": "(1, 1)",
        "severity": "behaviour",
        "cause": True,
        "kind": "Conv2d",
    }
    assert data["before"]["MACs"] == 1_814_073_344
    assert json.loads(run(capsys, "diff", "a.arch", "a.arch", "--json")[1])["severity"] is None


def test_drift_for_a_pull_request(files, capsys):
    """Names and values are text there, whatever they hold."""
    Path("d.arch").write_text(
        Path("a.arch").read_text("utf-8").replace("fc Linear(", "fc `a|<b>*`("), "utf-8"
    )

    status, out, _ = run(capsys, "diff", "a.arch", "b.arch", "--markdown")
    assert status == 1
    assert out.startswith("### ResNet drifted: layer2.0.conv1 stride (2, 2) → (1, 1) and 1 more · behaviour")
    assert "| behaviour | layer2.0.conv1 stride (2, 2) → (1, 1) |" in out
    assert "<summary>what follows from it" in out

    _, out, _ = run(capsys, "diff", "a.arch", "d.arch", "--markdown")
    assert "<b>" not in out


def test_a_long_list_is_cut_and_says_how_to_see_it(files, capsys):
    Path("e.arch").write_text(recorded("densenet121").to_text(), "utf-8")

    cut = run(capsys, "diff", "a.arch", "e.arch")[1]
    full = run(capsys, "diff", "a.arch", "e.arch", "--full")[1]
    assert "more (all with --full)" in cut
    assert len(cut.splitlines()) < 40 < len(full.splitlines())
    assert "all with" not in full


def test_models_can_be_compared_with_files(files, capsys):
    status, out, _ = run(
        capsys, "diff", "a.arch", "torchvision.models:resnet18", "--input", "1x3x224x224", "--device", "meta"
    )

    assert (status, out) == (0, "ResNet: no drift\n")


# -- show --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("subject", ["torchvision.models:resnet18", "a.arch"])
def test_a_model_or_a_file_is_shown(files, capsys, subject):
    inputs = ["--input", "1x3x224x224"] if ":" in subject else []
    status, out, _ = run(capsys, "show", subject, *inputs)
    lines = out.splitlines()

    assert status == 0
    assert lines[0].startswith("torchvision.models.resnet.ResNet · eval, x [1,3,224,224]")
    assert lines[1].split() == "layer type output depth parameters MACs share".split()
    assert lines[2].split() == ["conv1", "Conv2d", "[1,64,112,112]", "1", "9,408", "118,013,952", "6.5", "%"]
    assert "MACs 1,814,073,344 (complete) · depth (paper) 18" in out


def test_a_file_of_ones_own_is_shown(files, capsys):
    """``path/file.py:build``, from another folder, with what lies beside it."""
    Path("sub").mkdir()
    Path("sub/parts.py").write_text(MODELS, "utf-8")
    Path("sub/nets.py").write_text("from parts import Net\n\ndef build():\n    return Net(16)\n", "utf-8")

    status, out, _ = run(capsys, "show", "sub/nets.py:build", "--input", "x=2x3x8x8:float32")

    assert status == 0
    assert "parts.Net · eval, x [2,3,8,8]" in out
    assert not any("sub" in path for path in sys.path[:1])


def test_tokens_are_drawn_below_a_limit(files, capsys):
    Path("words.py").write_text(
        "from torch import nn\n\ndef build():\n    return nn.Embedding(50, 4)\n", "utf-8"
    )
    status, out, _ = run(capsys, "show", "words:build", "--input", "1x7:int64:50", "--device", "cpu")

    assert status == 0
    assert "input int64[1,7], recorded on cpu" in out


def test_a_model_for_programs_and_as_markdown_and_as_text(files, capsys):
    data = json.loads(run(capsys, "show", "a.arch", "--json")[1])
    original = recorded("resnet18")

    assert (data["parameters"], data["macs"], data["status"]) == (11_689_512, 1_814_073_344, "complete")
    assert data["depth"] == {"paper": 18}
    assert [call["name"] for call in data["calls"]] == [call.id for call in original]
    assert sum(call["parameters"] for call in data["calls"]) == original.params.total
    assert sum(call["macs"] or 0 for call in data["calls"]) == original.macs
    assert (
        "| conv1 | Conv2d | \\[1,64,112,112\\] | 1 | 9,408 | 118,013,952 | 6.5 % |"
        in run(capsys, "show", "a.arch", "--markdown")[1]
    )
    assert Trace.from_text(run(capsys, "show", "a.arch", "--arch")[1]) == original


# -- explain -----------------------------------------------------------------------------------------


def test_a_depth_is_explained(files, capsys):
    status, out, _ = run(capsys, "explain", "a.arch", "--convention", "paper")

    assert status == 0
    assert out == f"{recorded('resnet18').explain_depth('paper')}\n"
    data = json.loads(run(capsys, "explain", "a.arch", "--json")[1])
    assert data["depth"] == 18 == len(data["counted"])
    assert [layer["name"] for layer in data["left_out"]] == [f"layer{n}.0.downsample.0" for n in (2, 3, 4)]
    assert run(capsys, "explain", "a.arch", "--markdown")[1].startswith("### depth 18 under paper")


# -- what models do --------------------------------------------------------------------------------


def test_two_trees_of_one_project_are_two(files, capsys):
    """Modules of the same names, beside each file."""
    for folder, width in (("one", 8), ("two", 16)):
        Path(folder).mkdir()
        Path(folder, "conf.py").write_text(f"WIDTH = {width}\n", "utf-8")
        Path(folder, "net.py").write_text(
            "from conf import WIDTH\nfrom torch import nn\n\ndef build():\n    return nn.Linear(4, WIDTH)\n",
            "utf-8",
        )

    status, out, _ = run(capsys, "diff", "one/net.py:build", "two/net.py::build", "--input", "1x4")

    assert status == 1
    assert "out_features 8 → 16" in out


def test_what_a_model_prints_is_no_result(files, capsys):
    Path("loud.py").write_text(
        "print('loud')\nfrom models import Net\n\ndef build():\n    print('x')\n    return Net()\n"
    )

    _, out, err = run(capsys, "show", "loud.py:build", "--input", "1x3x8x8", "--json")

    assert json.loads(out)["parameters"] == 314
    assert "loud" in err


@pytest.mark.parametrize("where", ["", "    "], ids=["imported", "built"])
def test_a_script_that_exits_is_an_error(files, capsys, where):
    body = "def build():\n" if where else ""
    Path("script.py").write_text(f"import sys\n{body}{where}sys.exit(0)\n", "utf-8")

    status, out, err = run(capsys, "diff", "a.arch", "script.py:build", "--input", "1x3x8x8")

    assert (status, out) == (2, "")
    assert "sys.exit(0) was called while it was imported or run" in err


def test_a_file_that_came_or_went_is_drift(files, capsys):
    """As ``git difftool`` gives it."""
    assert run(capsys, "diff", "/dev/null", "a.arch")[:2] == (1, "a.arch: new\n")
    assert run(capsys, "diff", "a.arch", "/dev/null")[:2] == (1, "a.arch: gone\n")
    assert run(capsys, "diff", "/dev/null", "a.arch", "--fail-on", "none")[:2] == (0, "a.arch: new\n")


def test_a_file_that_came_or_went_is_a_heading_in_markdown(files, capsys):
    """What is told of the next file begins anew, and no folder of the run is in it."""
    Path("a.arch").rename("test_net[a_b].arch")

    new = run(capsys, "diff", "/dev/null", "./test_net[a_b].arch", "--markdown")
    gone = run(capsys, "diff", "./test_net[a_b].arch", "/dev/null", "--markdown")

    assert new[:2] == (1, "### net\\[a\\_b\\]: new\n")
    assert gone[:2] == (1, "### net\\[a\\_b\\]: gone\n")


def test_a_defect_of_ours_is_no_drift(files, capsys, monkeypatch):
    from pytest_archcheck.reports import drift

    monkeypatch.setattr(drift, "explain", lambda *_, **__: 1 / 0)

    status, _, err = run(capsys, "diff", "a.arch", "b.arch")

    assert status == 2
    assert "ZeroDivisionError" in err


# -- errors ------------------------------------------------------------------------------------------

ERRORS = {
    ("diff", "a.arch", "none.arch"): "none.arch: No such file or directory",
    ("diff", "a.arch", "bytes.arch"): "bytes.arch: byte 0 is not UTF-8; is it an .arch file?",
    ("diff", "a.arch", "merge.arch"): "merge.arch: line 3: a merge conflict is not resolved",
    (
        "diff",
        "a.arch",
        "a.arch",
        "--fail-on",
        "all",
    ): "'all' is no severity; choose from breaking, behaviour,",
    ("show", "resnet18", "--input", "1x3"): "'resnet18' is no model: write module:callable",
    ("show", "torchvision.models.resnet18", "--input", "1"): "did you mean torchvision.models:resnet18?",
    ("show", "torchvision.models:resnet18"): "say with what: --input 1x3x224x224",
    ("show", "torchvision.models:resnet19", "--input", "1x3"): "torchvision.models has no resnet19",
    ("show", "nothing:build", "--input", "1x3"): "nothing cannot be imported: ModuleNotFoundError",
    (
        "show",
        "gone.py:build",
        "--input",
        "1x3",
    ): "gone.py cannot be imported: FileNotFoundError: there is no such",
    ("show", "broken.py:build", "--input", "1x3"): "broken.py cannot be imported: ZeroDivisionError",
    (
        "show",
        "torchvision.models:resnet18",
        "--input",
        "1,3",
    ): "--input 1,3: expected a shape like 1x3x224x224",
    ("show", "models:Net", "--input", "x=1x3", "--input", "x=1x3"): "--input x=1x3: x is given twice",
    ("show", "models:Net", "--input", "1x9x8x8"): "Net failed at conv while it was recorded",
    ("show", "models:MODELS_ARE", "--input", "1x3"): "models has no MODELS_ARE",
    (
        "show",
        "a.arch",
        "--input",
        "1x3",
    ): "--input goes with a model to be recorded, and a.arch is a recorded one",
    ("explain", "a.arch", "--convention", "guess"): "guess",
    (
        "diff",
        "a.arch",
        "a.arch",
        "--input",
        "1x3",
    ): "--input goes with a model to be recorded, and both are recorded",
    ("show", "pkg/relative.py:build", "--input", "1x3"): "write it as pkg.relative:build",
}


@pytest.mark.parametrize("arguments", ERRORS, ids=" ".join)
def test_an_error_is_one_message_and_status_2(files, capsys, arguments):
    Path("bytes.arch").write_bytes(b"\xff\xfe")
    Path("merge.arch").write_text("archcheck 1\nmodel Net() eval\n<<<<<<< HEAD\n", "utf-8")
    Path("broken.py").write_text("1 / 0\n", "utf-8")
    Path("pkg").mkdir()
    Path("pkg/relative.py").write_text("from .other import build\n", "utf-8")

    status, out, err = run(capsys, *arguments)

    assert (status, out) == (2, "")
    assert err.startswith("archcheck: error: ")
    assert ERRORS[arguments] in err
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "arguments", [(), ("draw",), ("diff", "a.arch"), ("show", "a.arch", "--json", "--arch")]
)
def test_wrong_usage_is_status_2(files, arguments):
    with pytest.raises(SystemExit) as caught:
        main(arguments)

    assert caught.value.code == 2


# -- as a process ------------------------------------------------------------------------------------


def process(*arguments, **options):
    """The command as a module, as where no script is installed."""
    command = [sys.executable, "-m", "pytest_archcheck"]
    return subprocess.run(
        [*command, *arguments], capture_output=True, check=False, text=True, encoding="utf-8", **options
    )


def test_files_are_read_where_torch_cannot_be_imported(files):
    blocked = (
        "import sys; sys.modules['torch'] = None; from pytest_archcheck.cli import main; sys.exit(main())"
    )
    for arguments, status in (
        (("diff", "a.arch", "b.arch"), 1),
        (("show", "a.arch"), 0),
        (("explain", "a.arch"), 0),
    ):
        result = subprocess.run(
            [sys.executable, "-c", blocked, *arguments],
            capture_output=True,
            check=False,
            text=True,
            cwd=files,
        )
        assert (result.returncode, result.stderr) == (status, "")


def test_the_command_is_installed(files):
    """As ``archcheck``, beside the interpreter."""
    from importlib.metadata import entry_points

    (entry,) = entry_points(group="console_scripts", name="archcheck")
    assert entry.load() is main


def test_a_terminal_without_arrows_gets_the_rest(files):
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}

    result = process("diff", "a.arch", "b.arch", cwd=files, env=environment)

    assert result.returncode == 1
    assert "layer2.0.conv1 stride (2, 2) ? (1, 1)" in result.stdout


def test_a_reader_that_has_seen_enough_is_no_error(files):
    """``archcheck show … | head -1``."""
    command = [sys.executable, "-m", "pytest_archcheck"]
    with subprocess.Popen(
        [*command, "show", "a.arch", "--json"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=files
    ) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.close()
        assert running.stderr.read() == b""
