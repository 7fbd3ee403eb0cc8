"""The projects to copy: their suites pass where they are copied to, and the changes of their READMEs fail them."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.models import EXAMPLE

EXAMPLES = EXAMPLE.parent
WORKFLOW = Path(".github", "workflows", "architecture.yml")


@pytest.fixture
def copied(tmp_path):
    """Copies a project to where nothing else is."""

    def copy(name):
        ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
        return shutil.copytree(EXAMPLES / name, tmp_path / name, ignore=ignored)

    return copy


def run(folder, **environment):
    inherited = {name: value for name, value in os.environ.items() if name != "GITHUB_STEP_SUMMARY"}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**inherited, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def snapshots_of(project):
    return {str(path.relative_to(project)): path.read_bytes() for path in project.rglob("*.arch")}


def block(project, language):
    """The lines of the one code block of a README in a language."""
    (found,) = re.findall(
        rf"^```{language}\n(.*?)^```", (project / "README.md").read_text("utf-8"), re.M | re.S
    )
    return found.splitlines()


def plant(project):
    """Make the change that a README shows."""
    first, *lines = block(project, "diff")
    path = project / first.removeprefix("--- ")
    before, after = ("".join(f"{line[1:]}\n" for line in lines if line[0] == sign) for sign in "-+")
    text = path.read_text("utf-8")
    assert text.count(before) == 1
    path.write_text(text.replace(before, after), "utf-8")


def test_the_demos_suite_passes_and_a_moved_stride_fails_it(copied):
    """What ``nox -s demo`` shows."""
    project = copied("resnet")

    good = run(project)
    assert good.returncode == 0, good.stdout
    assert "2 snapshots passed" in good.stdout

    bad = run(project, RESNET_STRIDE_ON="1x1")
    assert bad.returncode == 1
    assert (
        "resnet50 drifted: layer2.0.conv1 stride (1, 1) → (2, 2) and 5 more · behaviour · MACs −5.7 %"
        in bad.stdout
    )
    assert "unchanged: parameters 25,557,032 · state-dict keys 320" in bad.stdout


@pytest.mark.parametrize("name", ["cnn", "transformer", "timm_backbone", "library"])
def test_a_suite_passes_with_its_snapshots_and_the_planted_change_fails_it(copied, name):
    """No snapshot is written, unused or missing, and the README quotes what is printed, in that order."""
    project = copied(name)
    committed = snapshots_of(project)
    told = f"{len(committed)} snapshot{'s' if len(committed) > 1 else ''} passed."

    good = run(project)
    assert good.returncode == 0, good.stdout + good.stderr
    assert told in good.stdout.splitlines()
    assert snapshots_of(project) == committed

    plant(project)
    bad = run(project)
    assert bad.returncode == 1, bad.stdout + bad.stderr
    command, *quoted = block(project, "console")
    assert command == "$ pytest"
    position = 0
    for line in quoted:
        if line != "…":
            assert line in bad.stdout[position:].splitlines()
            position = bad.stdout.index(line, position) + len(line)
    assert snapshots_of(project) == committed


def test_every_example_is_in_the_table():
    table = (EXAMPLES / "README.md").read_text("utf-8")

    folders = {path.name for path in EXAMPLES.iterdir() if path.is_dir()}
    assert set(re.findall(r"^\| \[\w+\]\((\w+)\)", table, re.M)) == folders


@pytest.mark.skipif(
    not (shutil.which("git") and shutil.which("bash")), reason="the workflow needs git and bash"
)
def test_the_workflow_tells_what_a_pull_request_changes_in_the_snapshots(copied, tmp_path):
    """Its last step, as GitHub runs it: of a file that changed, one that came and one that went."""
    project = copied("library")
    folder = project / "architectures" / "tests" / "test_architectures"

    def git(*arguments):
        identity = ("-c", "user.name=A", "-c", "user.email=a@b", "-c", "commit.gpgsign=false")
        subprocess.run(["git", *identity, *arguments], cwd=project, check=True, capture_output=True)

    git("init", "-q", "-b", "target")
    git("add", ".")
    git("commit", "-q", "-m", "before")
    git("checkout", "-q", "-b", "change")
    changed = folder / "test_model[conv_small].arch"
    text = changed.read_text("utf-8")
    changed.write_text(text.replace("GELU()", 'GELU(approximate="tanh")'), "utf-8")
    (folder / "test_model[mixer_small].arch").rename(folder / "test_model[mixer tiny].arch")
    git("add", ".")
    git("commit", "-q", "-m", "after")
    summary = tmp_path / "summary.md"
    step = yaml.safe_load((project / WORKFLOW).read_text("utf-8"))["jobs"]["architecture"]["steps"][-1]

    done = subprocess.run(
        ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        cwd=project,
        env={
            **os.environ,
            "PATH": os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"])),
            "PYTHONIOENCODING": "utf-8",
            "TARGET": "target",
            "RUNNER_TEMP": str(tmp_path / "before"),
            "GITHUB_STEP_SUMMARY": str(summary),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    headings = [line for line in summary.read_text("utf-8").splitlines() if line.startswith("#")]
    assert headings == [
        '### model\\[conv\\_small\\] drifted: in 4 of 4 GELU: approximate "none" → "tanh" · behaviour',
        "### model\\[mixer tiny\\]: new",
        "### model\\[mixer\\_small\\]: gone",
    ]
