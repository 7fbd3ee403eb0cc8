"""Run a small project's tests as a user would."""

from __future__ import annotations

import os
import time

import pytest

# A run inside this process forgets what it imported, and torch cannot be imported twice.
import torchvision  # noqa: F401

from tests.warm import run_pytest

MODELS = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, width=8, act=nn.ReLU):
        super().__init__()
        self.conv = nn.Conv2d(3, width, 3, padding=1)
        self.act = act()
        self.head = nn.Linear(width, 10)

    def forward(self, x):
        return self.head(self.act(self.conv(x)).mean((2, 3)))
"""

IMPORTS = """
import pytest
from torch import nn
from models import Net
from pytest_archcheck import *

IMAGE = (1, 3, 8, 8)
"""


def in_process(pytester, test, *args):
    """One test file in this process, without syrupy, whose session is global."""
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + test)
    return pytester.runpytest_inprocess(
        "-p", "no:syrupy", "-p", "no:randomly", "-p", "no:cacheprovider", *args
    )


def in_subprocess(pytester, *args):
    """The present project in a process of its own, whose folder is on the import path."""
    said, told = (pytester.path.parent / f"{pytester.path.name}.{name}" for name in ("stdout", "stderr"))
    for file in (said, told):
        file.write_bytes(b"")
    began = time.perf_counter()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(pytester.path), prepend=os.pathsep)
        patch.setenv("PYTHONUTF8", "1")
        arguments = ("-p", "no:randomly", "-p", "no:cacheprovider", *map(str, args))
        status = run_pytest(arguments, pytester.path, said, told)
    lines = [file.read_text("utf-8", "replace").splitlines() for file in (said, told)]
    print(*lines[0], *lines[1], sep="\n")
    return pytest.RunResult(status, *lines, time.perf_counter() - began)


def text_of(result):
    """Everything that a run printed."""
    return "\n".join(result.outlines + result.errlines)


_RECORDED: dict[str, dict[str, str]] = {}


def record_once(pytester, passed):
    """Commit the snapshots of the present project: by a run of it, and where one was the same before, by copying."""
    key = "".join(path.read_text("utf-8") for path in sorted(pytester.path.glob("*.py")))
    if key not in _RECORDED:
        in_subprocess(pytester, "--snapshot-update").assert_outcomes(passed=passed)
        found = pytester.path.rglob("*.arch")
        _RECORDED[key] = {str(path.relative_to(pytester.path)): path.read_text("utf-8") for path in found}
    for name, text in _RECORDED[key].items():
        (pytester.path / name).parent.mkdir(parents=True, exist_ok=True)
        (pytester.path / name).write_text(text, "utf-8")
