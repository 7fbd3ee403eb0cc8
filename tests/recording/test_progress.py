"""A line on the terminal for a recording that takes long, and none elsewhere."""

import os
import subprocess
import sys

import pytest

pty = pytest.importorskip("pty", reason="pseudo-terminals are of Unix")

# The forward goes on until the line is there, so no clock decides.
SLOW = """
import threading
from torch import nn
from pytest_archcheck import arch, arch_output, trace
from pytest_archcheck.reports import progress

progress.AFTER = 0.0
shown = threading.Event()
appear = progress.Progress._appear

def announced(self):
    appear(self)
    shown.set()

progress.Progress._appear = announced

class Net(nn.Module):
    def forward(self, x):
        for _ in range(1_000_000):
            x = x * 2
            if shown.is_set():
                return x
        raise AssertionError("no progress was shown")
"""
RECORD = SLOW + "\ntrace(Net(), (1, 2), device='meta')\n"
TEST = SLOW + "\n@arch(Net, inputs=(1, 2))\n@arch_output(1, 2)\ndef test_it():\n    pass\n"


def on_a_terminal(*command, cwd):
    """What a command prints where all its streams are a terminal."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=theirs, cwd=cwd, env=environment)
    os.close(theirs)
    printed = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # Linux's end of a terminal
            break
        if not part:
            break
        printed += part
    os.close(ours)
    assert process.wait() == 0, printed.decode()
    return printed.decode()


def test_a_long_recording_is_shown_and_wiped_out(tmp_path):
    (tmp_path / "record.py").write_text(RECORD, "utf-8")

    printed = on_a_terminal(sys.executable, "record.py", cwd=tmp_path)

    assert "recording Net: " in printed
    assert " calls" in printed
    assert printed.endswith("\x1b[2K")  # the line is gone


PRINTING = RECORD.replace("        for _ in", "        print('from the forward')\n        for _ in")


def test_what_a_forward_prints_goes_where_it_went(tmp_path):
    """Also into a stream that the forward's caller put in place while the line was shown."""
    code = "import contextlib, io, sys\nout = io.StringIO()\nwith contextlib.redirect_stdout(out):\n"
    body, _, call = PRINTING.strip().rpartition("\n")
    code = f"{body}\n{code}    {call}\nassert out.getvalue() == 'from the forward\\n'\nprint('afterwards')\n"
    (tmp_path / "record.py").write_text(code, "utf-8")

    printed = on_a_terminal(sys.executable, "record.py", cwd=tmp_path)

    assert "recording Net: " in printed
    assert "from the forward" not in printed
    assert printed.rstrip().endswith("afterwards")


def test_it_is_shown_through_the_capturing_of_pytest(tmp_path):
    (tmp_path / "test_it.py").write_text(TEST, "utf-8")

    printed = on_a_terminal(sys.executable, "-m", "pytest", "-p", "no:randomly", "test_it.py", cwd=tmp_path)

    assert "recording Net: " in printed
    assert "1 passed" in printed


def test_a_short_recording_shows_nothing(tmp_path):
    code = "from torch import nn\nfrom pytest_archcheck import trace\ntrace(nn.Linear(2, 2), (1, 2), device='meta')\n"
    (tmp_path / "record.py").write_text(code, "utf-8")

    assert on_a_terminal(sys.executable, "record.py", cwd=tmp_path) == ""


def test_nothing_is_shown_where_there_is_no_terminal(tmp_path):
    """Not in a log, however long it takes."""
    code = RECORD.replace("range(1_000_000)", "range(5_000)").replace("raise AssertionError", "return x #")
    (tmp_path / "record.py").write_text(code, "utf-8")

    result = subprocess.run(
        [sys.executable, "record.py"], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert result.stdout + result.stderr == ""
