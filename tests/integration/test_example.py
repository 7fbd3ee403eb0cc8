"""The example project and its demo: its suite passes, and a moved stride fails it."""

import os
import shutil
import subprocess
import sys

from tests.models import EXAMPLE


def run(folder, **environment):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", "-p", "no:cacheprovider"],
        cwd=folder,
        env={**os.environ, "PYTHONIOENCODING": "utf-8", **environment},
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=False,
    )


def test_the_examples_suite_passes_and_a_moved_stride_fails_it(tmp_path):
    """What ``nox -s demo`` shows."""
    project = shutil.copytree(EXAMPLE, tmp_path / "resnet", ignore=shutil.ignore_patterns("__pycache__"))

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
