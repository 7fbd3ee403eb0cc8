"""A suite of 200 architecture tests on 80 models: what of its time is archcheck's.

``python bench/suite.py`` writes the suite, records its snapshots, and runs it with ``pytest -n 2``. In every worker
each part is timed from inside: importing torch and torchvision, building the models, and all that archcheck does,
that is fixtures, marks and snapshots without the building that happens in them.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from measure import table, versions

CONFTEST = """
import json, os, sys, time
from pathlib import Path
import pytest

start = time.perf_counter()
import torch, torchvision
TIMES = {"import": time.perf_counter() - start, "build": 0.0, "archcheck": 0.0}


def timed(function, part, without=()):
    def run(*args, **kwargs):
        start = time.perf_counter()
        before = sum(TIMES[other] for other in without)
        try:
            return function(*args, **kwargs)
        finally:
            took = time.perf_counter() - start
            TIMES[part] += took - (sum(TIMES[other] for other in without) - before)
    return run


from pytest_archcheck import plugin, recording, shared, snapshots
building = sys.modules["pytest_archcheck.recording.build"]

building.build = timed(building.build, "build")
shared.SharedTraces.trace = timed(shared.SharedTraces.trace, "archcheck", without=["build"])
plugin._judge = timed(plugin._judge, "archcheck")
snapshots.ArchSnapshotExtension.serialize = timed(snapshots.ArchSnapshotExtension.serialize, "archcheck")
snapshots.ArchSnapshotExtension.matches = timed(snapshots.ArchSnapshotExtension.matches, "archcheck")


def pytest_unconfigure(config):
    if hasattr(config, "workerinput"):
        Path(os.environ["TIMES"], config.workerinput["workerid"]).write_text(json.dumps(TIMES))
"""
TEST = """
import functools
import pytest, torchvision
from pytest_archcheck import *

MODELS = torchvision.models.list_models(module=torchvision.models)[:80]
FACTORIES = {
    name: functools.partial(torchvision.models.get_model, name, weights=None, **options)
    for name in MODELS
    for options in [{"init_weights": False} if name in ("googlenet", "inception_v3") else {}]
}
OF_80 = [pytest.param(marks=arch(FACTORIES[name], inputs=(1, 3, 224, 224)), id=name) for name in MODELS]
OF_40 = OF_80[::2]


@pytest.mark.parametrize((), OF_80)
def test_snapshot(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot


@pytest.mark.parametrize((), OF_80)
@arch_output("B", 1000)
@arch_macs(at_least=1)
@arch_params(at_least=1)
def test_output_and_costs():
    pass


@pytest.mark.parametrize((), OF_40)
def test_depth(arch_trace):
    assert arch_trace.depth("longest-path") > 4
"""


def pytest(folder: Path, *options: str) -> str:
    """Run the suite and give what it printed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:randomly", *options]
    environment = {**__import__("os").environ, "TIMES": str(folder / "times")}
    run = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment, check=False)
    if run.returncode:
        raise SystemExit(run.stdout + run.stderr)
    return run.stdout


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "conftest.py").write_text(CONFTEST)
        (folder / "test_models.py").write_text(TEST)
        (folder / "times").mkdir()
        pytest(folder, "--snapshot-update")
        start = time.perf_counter()
        printed = pytest(folder, "-n", "2")
        took = time.perf_counter() - start
        workers = [json.loads(path.read_text()) for path in sorted((folder / "times").iterdir())]
    assert "200 passed" in printed, printed
    assert len(workers) == 2
    sums = {part: sum(worker[part] for worker in workers) for part in workers[0]}
    other = sums["import"] + sums["build"]
    print(versions("torch", "torchvision", "pytest", "pytest-xdist"))
    print()
    head = ["200 tests, 80 models, two workers", "importing torch", "building the models", "archcheck"]
    print(table(head, [["seconds, both workers together", *(f"{sums[part]:.1f}" for part in sums)]]))
    print()
    print(
        f"archcheck takes **{sums['archcheck'] / other:.2f}** of what importing torch and building the models take; "
        f"the whole run took {took:.1f} s."
    )
