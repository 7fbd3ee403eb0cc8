"""Run pytest in a process of its own in which torch is imported already.

A server that has imported torch and computed nothing is forked for each run, which saves the seconds of that import.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["torch", "torchvision"])
_SECONDS = 300


def run_pytest(arguments: Sequence[str], folder: Path, said: Path, told: Path) -> int:
    """The exit status of ``pytest ARGUMENTS`` in a folder; what it prints goes to the files ``said`` and ``told``.

    Nothing but torch and torchvision is imported in it beforehand, and like the command it puts no folder on the
    import path.
    """
    path = _path(os.environ.get("PYTHONPATH", ""))
    process = _CONTEXT.Process(
        target=_run, args=(list(arguments), str(folder), path, dict(os.environ), str(said), str(told))
    )
    process.start()
    process.join(_SECONDS)
    if process.exitcode is None:
        process.kill()
        raise TimeoutError(f"{arguments} in {folder} ran for {_SECONDS} s")
    return process.exitcode


@cache
def _path(extra: str) -> list[str]:
    """The import path of a new process, without the folder that it is started in."""
    command = [sys.executable, "-P", "-c", "import sys; print('\\n'.join(sys.path))"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def _run(
    arguments: list[str], folder: str, path: list[str], environment: dict[str, str], said: str, told: str
) -> None:
    for number, name in ((1, said), (2, told)):
        file = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        os.dup2(file, number)
        os.close(file)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", encoding="utf-8", closefd=False, buffering=1)  # noqa: SIM115
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:] = path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("tests", "__mp_main__")]:
        del sys.modules[name]  # a project has tests of its own
    status: object = 1
    try:
        sys.argv = ["pytest", *arguments]
        import pytest

        status = pytest.main(arguments)
    except SystemExit as error:
        status = error.code or 0
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status if isinstance(status, int) else 1)
