"""Snapshots through syrupy, in processes of their own: new, matching, drifted, updated, and never lost."""

import pytest

from tests.integration.support import IMPORTS, MODELS, in_subprocess, record_once, text_of

TEST = """
import os
WIDTH = int(os.environ.get("WIDTH", "8"))
ACT = getattr(nn, os.environ.get("ACT", "ReLU"))

@arch(lambda: Net(WIDTH, ACT), inputs=IMAGE)
@arch_layers(Linear=1)
def test_net(arch_trace, arch_snapshot):
    assert not os.environ.get("BREAK"), "broken before the snapshot"
    assert arch_trace == arch_snapshot

@arch(lambda: Net(4), inputs=IMAGE)
def test_narrow(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A project with two committed snapshots."""
    for name in ("WIDTH", "ACT", "BREAK"):
        monkeypatch.delenv(name, raising=False)
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + TEST)
    record_once(pytester, passed=2)
    return pytester


def committed(project, folder="__snapshots__/test_it"):
    return {path.name: path.read_text("utf-8") for path in (project.path / folder).iterdir()}


def test_a_drift_fails_with_its_verdict_and_an_update_accepts_it(project, monkeypatch):
    """The life of a snapshot: match, drift, explanation, update, match."""
    before = committed(project)
    assert set(before) == {"test_net.arch", "test_narrow.arch"}
    in_subprocess(project).assert_outcomes(passed=2)

    monkeypatch.setenv("ACT", "GELU")
    result = in_subprocess(project)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "E *assert net drifted: act class ReLU → GELU · behaviour",
            "*- architecture drift -*",
            "net drifted: act class ReLU → GELU · behaviour",
            "what changed (1):",
            "  act class ReLU → GELU  [[]behaviour[]]",
            "unchanged: parameters 314 · state-dict keys 4 · MACs 13,904 · depth (paper) 2 · output [[]1,10[]]",
            "do: mend the model, or accept the drift: pytest --snapshot-update",
        ]
    )
    assert committed(project) == before

    in_subprocess(project, "--snapshot-update").assert_outcomes(passed=2)
    after = committed(project)
    assert after["test_narrow.arch"] == before["test_narrow.arch"]
    assert "act GELU()" in after["test_net.arch"]
    in_subprocess(project).assert_outcomes(passed=2)


def test_a_missing_snapshot_says_how_to_record_it(pytester):
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + TEST)

    result = in_subprocess(pytester)

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*assert n*: no snapshot is recorded yet*"])
    result.stdout.fnmatch_lines(
        ["net: no snapshot is recorded yet", "do: look the model over, then pytest --snapshot-update"]
    )


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_failing_test_with_update_loses_no_snapshot(project, monkeypatch, workers):
    """A body that fails before its snapshot, and a mark that fails: no file is deleted."""
    before = committed(project)
    monkeypatch.setenv("BREAK", "1")

    in_subprocess(project, "--snapshot-update", *workers).assert_outcomes(passed=1, failed=1)

    assert committed(project) == before


def test_a_failing_mark_with_update_loses_no_snapshot(project):
    before = committed(project)
    test = project.path / "test_it.py"
    test.write_text(test.read_text("utf-8").replace("Linear=1", "Linear=2"), "utf-8")

    in_subprocess(project, "--snapshot-update").assert_outcomes(passed=1, failed=1)

    assert committed(project) == before


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_model_that_cannot_be_recorded_with_update_loses_no_snapshot(project, monkeypatch, workers):
    """The test fails in set-up, before there is any snapshot fixture."""
    before = committed(project)
    monkeypatch.setenv("WIDTH", "-1")

    in_subprocess(project, "--snapshot-update", *workers).assert_outcomes(passed=1, errors=1)

    assert committed(project) == before


SECOND = (
    IMPORTS
    + """
@arch(Net, inputs=IMAGE)
def test_other(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot
"""
)

BROKEN_RUNS = {
    "a module that cannot be imported": ("import nothing\n", []),
    "the same, and the others run": ("import nothing\n", ["--continue-on-collection-errors"]),
    "the same under xdist": ("import nothing\n", ["--continue-on-collection-errors", "-n", "2"]),
    "a module that is skipped": ("import pytest\npytest.importorskip('nothing')\n", []),
    "the same under xdist too": ("import pytest\npytest.importorskip('nothing')\n", ["-n", "2"]),
    "a wrong mark": (SECOND.replace("@arch(", "@arch_depth(1, convention='x')\n@arch("), []),
    "only collected": (SECOND, ["--collect-only"]),
    "stopped at the first failure": (SECOND.replace("    assert", "    assert 0\n    assert"), ["-x"]),
    "interrupted": (SECOND.replace("    assert", "    raise KeyboardInterrupt\n    assert"), []),
}


@pytest.mark.parametrize("case", BROKEN_RUNS)
def test_a_run_that_did_not_run_everything_deletes_nothing(pytester, case):
    """With ``--snapshot-update``, whatever went wrong."""
    content, options = BROKEN_RUNS[case]
    second = pytester.path / "test_and_other.py"
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + TEST)
    files = ("test_it/test_net", "test_it/test_narrow", "test_and_other/test_other")
    for name in files:
        path = pytester.path / f"__snapshots__/{name}.arch"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("archcheck 1\n", "utf-8")
    before = sorted(pytester.path.rglob("*.arch"))

    second.write_text(content, "utf-8")
    result = in_subprocess(pytester, "--snapshot-update", *options)

    assert sorted(pytester.path.rglob("*.arch")) == before
    result.stdout.fnmatch_lines(["archcheck: not every test ran, so no unused snapshot was deleted"])


def test_a_removed_test_is_still_cleaned_up(project):
    """What syrupy's users expect: the snapshot of a test that is gone goes with an update."""
    test = project.path / "test_it.py"
    test.write_text(test.read_text("utf-8").replace("def test_narrow", "def dont_test_narrow"), "utf-8")

    in_subprocess(project, "--snapshot-update").assert_outcomes(passed=1)

    assert set(committed(project)) == {"test_net.arch"}


def test_the_file_of_a_renamed_test_is_named(project):
    """It compares with nothing, so its model is not watched until its file is renamed."""
    source = project.path / "test_it.py"
    source.write_text(source.read_text("utf-8").replace("test_narrow", "test_slim"), "utf-8")

    result = in_subprocess(project)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        [
            "snapshots: 1 the same, 1 not recorded yet, 1 unused",
            "unused: __snapshots__/test_it/test_narrow.arch; where a test was renamed, rename its file too (git mv)",
        ]
    )
    folder = project.path / "__snapshots__" / "test_it"
    (folder / "test_narrow.arch").rename(folder / "test_slim.arch")
    in_subprocess(project).assert_outcomes(passed=2)


def test_a_broken_file_is_one_error_with_its_line(project):
    path = project.path / "__snapshots__/test_it/test_net.arch"
    path.write_text(path.read_text("utf-8").replace("in:x", "<<<<<<< HEAD\nin:x"), "utf-8")

    result = in_subprocess(project)

    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["*net: the snapshot cannot be read: line 3: a merge conflict is not resolved; resolve it*"]
    )


def test_a_cosmetic_drift_passes_and_is_rewritten_on_update(project):
    """A renamed class computes the same."""
    models = project.path / "models.py"
    models.write_text(
        models.read_text("utf-8").replace("class Net", "class Renamed") + "\nNet = Renamed\n", "utf-8"
    )

    in_subprocess(project).assert_outcomes(passed=2)
    assert "model models.Net" in committed(project)["test_net.arch"]

    in_subprocess(project, "--snapshot-update").assert_outcomes(passed=2)
    assert "model models.Renamed" in committed(project)["test_net.arch"]


def test_one_folder_for_the_project_keeps_modules_apart(pytester):
    """``arch_snapshot_dir``: two test modules of one name in two folders, and nobody's file is deleted."""
    pytester.makeini(
        "[pytest]\narch_snapshot_dir = arch\npythonpath = .\naddopts = --import-mode=importlib\n"
    )
    pytester.makepyfile(models=MODELS)
    for folder in ("a", "b"):
        (pytester.mkdir(folder) / "test_it.py").write_text(IMPORTS + TEST, "utf-8")
    (pytester.path / "arch").mkdir()
    (pytester.path / "arch/README.md").write_text("ours\n", "utf-8")

    in_subprocess(pytester, "--snapshot-update").assert_outcomes(passed=4)
    in_subprocess(pytester, "--snapshot-update", "a").assert_outcomes(passed=2)
    in_subprocess(pytester, "-n", "2").assert_outcomes(passed=4)

    files = sorted(str(path.relative_to(pytester.path)) for path in pytester.path.glob("arch/**/*.*"))
    assert files == [
        "arch/README.md",
        "arch/a/test_it/test_narrow.arch",
        "arch/a/test_it/test_net.arch",
        "arch/b/test_it/test_narrow.arch",
        "arch/b/test_it/test_net.arch",
    ]


def test_something_that_is_no_trace_is_told(pytester):
    pytester.makepyfile(
        models=MODELS, test_it=IMPORTS + "def test_net(arch_snapshot):\n    assert 3 == arch_snapshot\n"
    )

    result = in_subprocess(pytester)

    result.assert_outcomes(failed=1)
    assert (
        "arch_snapshot compares a Trace and was given int; write assert arch_trace == arch_snapshot"
        in text_of(result)
    )


SHARDS = {
    "without a word": "",
    "first of all": "@pytest.hookimpl(tryfirst=True)",
}


@pytest.mark.parametrize(
    ("order", "workers"), [*((order, ()) for order in SHARDS), ("without a word", ("-n", "2"))]
)
def test_a_shard_deletes_no_snapshot_of_another(project, order, workers):
    """Plugins that run a part of the suite take the other tests away, at whatever time."""
    before = committed(project)
    project.makeconftest(
        f"import pytest\n\n{SHARDS[order]}\ndef pytest_collection_modifyitems(items):\n    items[:] = items[:1]\n"
    )

    in_subprocess(project, "--snapshot-update", *workers).assert_outcomes(passed=1)

    assert committed(project) == before


@pytest.mark.parametrize(
    "options",
    [
        ["-k", "narrow"],
        ["test_it.py::test_net"],
        ["--deselect", "test_it.py::test_net"],
        ["-m", "arch_layers"],
    ],
    ids=" ".join,
)
def test_a_chosen_part_deletes_no_snapshot_of_the_rest(project, options):
    before = committed(project)

    in_subprocess(project, "--snapshot-update", *options)

    assert committed(project) == before


def test_the_last_failed_ones_delete_no_snapshot_of_the_rest(project, monkeypatch):
    before = committed(project)
    cache = ("-o", "cache_dir=cache", "-p", "cacheprovider")
    monkeypatch.setenv("ACT", "GELU")
    project.runpytest_subprocess(*cache).assert_outcomes(passed=1, failed=1)

    project.runpytest_subprocess("--lf", "--snapshot-update", *cache).assert_outcomes(passed=1)

    after = committed(project)
    assert set(after) == set(before)
    assert after["test_narrow.arch"] == before["test_narrow.arch"]
    assert after["test_net.arch"] != before["test_net.arch"]


@pytest.mark.parametrize("workers", [("-n", "2")], ids=["xdist"])
def test_files_of_a_module_that_is_gone_are_named_and_kept(pytester, workers):
    """In one folder for the project, where nobody else ever looks at them; beside the tests syrupy cleans up."""
    pytester.makeini("[pytest]\narch_snapshot_dir = arch\n")
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + TEST, test_gone=SECOND)
    in_subprocess(pytester, "--snapshot-update").assert_outcomes(passed=3)
    orphan = "arch/test_gone/test_other.arch"
    assert (pytester.path / orphan).is_file()
    (pytester.path / "test_gone.py").unlink()

    result = in_subprocess(pytester, "--snapshot-update", *workers)

    result.stdout.fnmatch_lines([f"archcheck: {orphan} belongs to no test module; delete it if it is yours"])
    assert (pytester.path / orphan).is_file()


def test_a_section_of_a_later_release_is_kept_and_told(project, monkeypatch):
    """Also on an update by a release that does not know it."""
    path = project.path / "__snapshots__/test_it/test_net.arch"
    section = "section gradients\n  conv.weight 0.5\n\n  head.bias 0.25\nend\n"
    path.write_text(path.read_text("utf-8").replace("end\n", section), "utf-8")
    in_subprocess(project).assert_outcomes(passed=2)

    monkeypatch.setenv("ACT", "GELU")
    result = in_subprocess(project)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(
        ["not compared: section 'gradients', which this release does not know; it is kept"]
    )

    in_subprocess(project, "--snapshot-update").assert_outcomes(passed=2)
    assert path.read_text("utf-8").endswith(section)
    assert " GELU()" in path.read_text("utf-8")


DEEP = """
import os
from torch import nn
from pytest_archcheck import arch

def chain():
    eps = float(os.environ.get("EPS", "1e-5"))
    pairs = [nn.Sequential(nn.Linear(8, 8), nn.LayerNorm(8, eps=eps)) for _ in range(499)]
    return nn.Sequential(*pairs, nn.Linear(8, 8, bias=eps == 1e-5), nn.ReLU() if eps == 1e-5 else nn.GELU())

@arch(chain, inputs=(1, 8))
def test_deep(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot
"""


def test_a_thousand_layers_are_told_in_a_few_lines(pytester, monkeypatch):
    """The failure takes under 40 lines; with ``-vv`` it has every change."""
    pytester.makepyfile(test_it=DEEP)
    in_subprocess(pytester, "--snapshot-update").assert_outcomes(passed=1)
    monkeypatch.setenv("EPS", "1e-6")

    result = in_subprocess(pytester)
    result.assert_outcomes(failed=1)
    start = next(at for at, line in enumerate(result.outlines) if "= FAILURES =" in line)
    end = next(at for at, line in enumerate(result.outlines) if "- snapshot report summary -" in line)
    assert end - start < 40
    result.stdout.fnmatch_lines(["E *assert deep drifted: 499 bias True → False and 500 more · breaking"])
    result.stdout.fnmatch_lines(["  in 499 of 499 LayerNorm: eps 1e-05 → 1e-06  [[]behaviour[]]"])

    lines = in_subprocess(pytester, "-vv").outlines
    assert all(f"    {n}.1 eps 1e-05 → 1e-06" in lines for n in range(499))


SKIPS = """
import os

@pytest.mark.parametrize("name", ["m1", "m2"])
def test_zoo(name, arch_snapshot):
    if name == "m2" and os.environ.get("SKIP"):
        pytest.skip("not here")
    assert trace(Net(int(name[-1])), IMAGE) == arch_snapshot
"""


def test_the_snapshot_of_a_skipped_test_is_neither_failed_nor_passed_nor_unused(pytester, monkeypatch):
    monkeypatch.delenv("SKIP", raising=False)
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + SKIPS)
    record_once(pytester, passed=2)
    monkeypatch.setenv("SKIP", "1")

    result = in_subprocess(pytester)

    result.assert_outcomes(passed=1, skipped=1)
    result.stdout.fnmatch_lines(["1 snapshot passed."])
    result.stdout.no_fnmatch_line("*snapshot failed*")
    result.stdout.no_fnmatch_line("*snapshot unused*")


SLASHES = """
import os

@pytest.mark.parametrize("name", ["org/m1", "org/m2"])
def test_hub(name, arch_snapshot):
    if name == "org/m2" and os.environ.get("SKIP"):
        pytest.skip("not here")
    assert trace(Net(int(name[-1])), IMAGE) == arch_snapshot
"""


def test_a_skipped_test_with_a_slash_in_its_id_keeps_its_snapshot(pytester, monkeypatch):
    """As ``timm/resnet50``: a file's name does not hold the slash."""
    monkeypatch.delenv("SKIP", raising=False)
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + SLASHES)
    record_once(pytester, passed=2)
    before = committed(pytester)
    monkeypatch.setenv("SKIP", "1")

    in_subprocess(pytester, "--snapshot-update").assert_outcomes(passed=1, skipped=1)

    assert committed(pytester) == before


def test_a_comparison_that_is_not_asserted_fails(pytester):
    """Else a forgotten ``assert`` would let everything pass."""
    test = "@arch(Net, inputs=IMAGE)\ndef test_net(arch_trace, arch_snapshot):\n    {}arch_trace == arch_snapshot\n"
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + test.format("assert "))
    record_once(pytester, passed=1)
    pytester.makepyfile(models=MODELS.replace("padding=1", "padding=0"), test_it=IMPORTS + test.format(""))

    result = in_subprocess(pytester)

    result.assert_outcomes(failed=1)
    assert "it compares and does not assert" in text_of(result)
    assert "do: write assert arch_trace == arch_snapshot" in text_of(result)


def test_a_failure_shows_the_snapshot_by_its_name(pytester):
    body = "def test_net(arch_trace, arch_snapshot):\n    assert arch_trace == arch_snapshot\n"
    pytester.makepyfile(models=MODELS, test_it=f"{IMPORTS}@arch(Net, inputs=IMAGE)\n{body}")

    result = in_subprocess(pytester)

    assert "arch_snapshot = <snapshot test_net.arch>" in text_of(result)
