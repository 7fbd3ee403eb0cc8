"""What a project pays for having the plugin installed and not using it.

``python bench/startup.py`` runs pytest on one empty test, with the plugin and with ``-p no:archcheck``, in turn.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from measure import paired, versions

ROUNDS = 25
# An installed package has its bytecode.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
TEST = "import sys\n\ndef test_no_torch():\n    assert 'torch' not in sys.modules\n"


def run(folder: str, *options: str) -> None:
    """Run pytest, which has to pass."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=ENVIRONMENT)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "test_it.py").write_text(TEST)
        without, with_it = paired(
            lambda: run(folder, "-p", "no:archcheck"), lambda: run(folder), rounds=ROUNDS
        )
    more = statistics.median(b - a for a, b in zip(without, with_it, strict=True))
    print(versions("pytest", "syrupy"))
    print()
    print(
        f"pytest on one test that imports nothing: {1000 * statistics.median(without):.0f} ms without the plugin, "
        f"**{1000 * more:.0f} ms** more with it (median of {ROUNDS} pairs); torch is not imported."
    )
