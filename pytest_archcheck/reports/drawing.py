"""Draw DOT with Graphviz: the one in pygraphviz's wheel, or the program ``dot``.

Both run in a process of their own: what they print stays off the terminal, and a layout that fails ends nothing else.
"""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.picture import picture
from pytest_archcheck.reports.dot import dot
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from pytest_archcheck.drift.compare import Drift

FORMS = ("svg", "png", "pdf")
_SECONDS = 120
_WITH_PYGRAPHVIZ = """
import sys
import pygraphviz
text = sys.stdin.buffer.read().decode("utf-8")
sys.stdout.buffer.write(pygraphviz.AGraph(string=text).draw(format=sys.argv[1], prog="dot"))
"""


def draw(text: str, form: str) -> bytes:
    """A file of the form ``"svg"``, ``"png"`` or ``"pdf"``.

    Raises:
        UsageError: Graphviz is not installed, or it could not draw the text.
    """
    commands = _commands(form)
    if not commands:
        raise UsageError(
            f"Graphviz is not installed, and a .{form} file is drawn by it: "
            'pip install "pytest-archcheck[graph]"; .dot and .mmd files need none',
            see="graph",
        )
    failed = ""
    for command in commands:
        try:
            done = subprocess.run(
                command,
                input=text.encode("utf-8", "replace"),
                capture_output=True,
                check=False,
                timeout=_SECONDS,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            failed = str(error)
            continue
        if done.returncode == 0 and done.stdout:
            return done.stdout
        said = done.stderr.decode("utf-8", "replace").strip().splitlines()
        failed = said[-1] if said else f"exit status {done.returncode}"
    raise UsageError(
        f"Graphviz could not draw the .{form} file: {failed}; a .dot or .mmd file needs none", see="graph"
    )


def svg(trace: Trace, drift: Drift | None = None) -> str | None:
    """The picture as an ``<svg>`` element that can stand in a page; ``None`` where Graphviz is not installed."""
    if not _commands("svg"):
        return None
    drawn = draw(dot(picture(trace, drift)), "svg").decode("utf-8")
    return drawn[drawn.index("<svg") :].strip()


def _commands(form: str) -> list[list[str]]:
    """What can draw here, the best first."""
    found = []
    if importlib.util.find_spec("pygraphviz") is not None:
        found.append([sys.executable, "-c", _WITH_PYGRAPHVIZ, form])
    program = shutil.which("dot")
    if program is not None:
        found.append([program, f"-T{form}"])
    return found
