"""Run the benchmarks of speed and size one after the other, print what they find, and write bench/RESULTS.md.

``python bench/results.py [script …]``, or ``nox -s bench``; of scripts that are named only the sections are written
anew. Every figure is a ratio within one run of a script or says what it was measured beside; another machine has other
milliseconds.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

from measure import machine, versions

HERE = Path(__file__).parent
RESULTS = HERE / "RESULTS.md"
SCRIPTS = ("record", "scale", "large", "startup", "suite", "memory", "graph")


def words_of(name: str) -> str:
    """Give a script's docstring."""
    return ast.get_docstring(ast.parse((HERE / f"{name}.py").read_text("utf-8"))) or ""


def title_of(name: str) -> str:
    """Give the first line of a script's docstring."""
    return words_of(name).partition("\n")[0]


def section(name: str) -> str:
    """Run one script and give its section."""
    title, _, rest = words_of(name).partition("\n")
    print(f"-- {name}", flush=True)
    found = subprocess.run(
        [sys.executable, str(HERE / f"{name}.py")], check=True, stdout=subprocess.PIPE, text=True
    ).stdout
    print(found, flush=True)
    return f"## {title}\n\n{rest.strip()}\n\n{found.strip()}\n"


def main(names: list[str]) -> None:
    """Write the file, if all scripts ran."""
    head = [
        "# What it costs",
        "Written by `nox -s bench`; do not edit. Every figure is a ratio within one run.",
        f"{machine()}. {versions('pytest-archcheck')}.",
    ]
    known = dict.fromkeys(map(title_of, SCRIPTS), "")
    if names and RESULTS.exists():
        parts = RESULTS.read_text("utf-8").split("\n## ")[1:]
        known |= {part.partition("\n")[0]: f"## {part.rstrip()}\n" for part in parts}
    for name in names or SCRIPTS:
        known[title_of(name)] = section(name)
    RESULTS.write_text("\n\n".join(head) + "\n\n" + "\n".join(filter(None, known.values())), "utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
