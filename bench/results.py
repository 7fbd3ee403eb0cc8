"""Run the benchmarks of speed and size one after the other, print what they find, and write bench/RESULTS.md.

``python bench/results.py [script …]``, or ``nox -s bench``. Every figure is a ratio within one run or says what it
was measured beside; another machine has other milliseconds.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from measure import machine, versions

HERE = Path(__file__).parent
SCRIPTS = ("record", "scale", "large", "startup", "suite", "memory", "graph")


def section(name: str) -> str:
    """Run one script and give its section."""
    path = HERE / f"{name}.py"
    words = ast.get_docstring(ast.parse(path.read_text("utf-8"))) or ""
    title, _, rest = words.partition("\n")
    print(f"-- {name}", flush=True)
    found = subprocess.run([sys.executable, str(path)], check=True, stdout=subprocess.PIPE, text=True).stdout
    print(found, flush=True)
    return f"## {title}\n\n{rest.strip()}\n\n{found.strip()}\n"


def main(names: list[str]) -> None:
    """Write the file, if all scripts ran."""
    head = [
        "# What it costs",
        "Written by `nox -s bench`; do not edit. Every figure is a ratio within one run.",
        f"{machine()}. {versions('pytest-archcheck')}.",
    ]
    sections = [section(name) for name in names or SCRIPTS]
    if not names:
        (HERE / "RESULTS.md").write_text("\n\n".join(head) + "\n\n" + "\n".join(sections), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
