"""Draw the failure that the README shows, from a real run of the example: ``python docs/failure.py``."""

import io
import os
import re
import subprocess
import sys
from pathlib import Path

from rich.console import CONSOLE_SVG_FORMAT, Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "failure.svg"
WIDTH = 112
BEGIN, END = "= FAILURES =", "snapshot report summary"


def main() -> None:
    """Run the example with the stride moved, and draw what it prints of it."""
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "--tb=short",
            "--color=yes",
            "-p",
            "no:randomly",
            "-p",
            "no:cacheprovider",
        ],
        cwd=ROOT / "examples" / "resnet",
        env={**os.environ, "RESNET_STRIDE_ON": "1x1", "COLUMNS": str(WIDTH), "PYTHONIOENCODING": "utf-8"},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )
    assert run.returncode == 1, run.stdout + run.stderr
    lines = run.stdout.splitlines()
    first = next(number for number, line in enumerate(lines) if BEGIN in line)
    last = next(number for number, line in enumerate(lines) if END in line)
    shown = [line for line in lines[first:last] if "slowest recordings" not in line]
    console = Console(record=True, width=WIDTH, file=io.StringIO(), force_terminal=True)
    console.print("[bold]$ pytest[/bold]")
    for line in shown:
        console.print(Text.from_ansi(line))
    without_fonts = re.sub(
        r"@font-face \{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL
    )  # nothing is loaded
    svg = console.export_svg(
        title="examples/resnet", theme=MONOKAI, code_format=without_fonts, unique_id="failure"
    )
    PICTURE.write_text(svg, "utf-8")
    print(f"{PICTURE.relative_to(ROOT)}: {len(shown)} lines, {len(svg):,} bytes")


if __name__ == "__main__":
    main()
