"""Run the commands of a ``console`` block, and hold what they print to what the block shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from itertools import pairwise
from pathlib import Path

import pytest

from pytest_archcheck import cli
from tests.warm import run_pytest

ENVIRONMENT = {
    "COLUMNS": "120",
    "CUDA_VISIBLE_DEVICES": "",  # what is shown is recorded without
    "HF_HUB_OFFLINE": "1",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUTF8": "1",
}
FOREIGN = [  # what makes a run look otherwise in CI, under xdist or with somebody's settings
    name
    for name in os.environ
    if name.startswith(("PYTEST_", "GITHUB_", "ARCHCHECK_"))
    or name in ("CI", "BUILD_NUMBER", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "PYTHONWARNINGS")
]
_PLUGINS_OFF = ("-p", "no:randomly", "-p", "no:cacheprovider")
_UNRUN = re.compile(r"(\.venv/bin/)?(pip install|nox|git clone|cd|python3 -m venv)( |$)")
_SECONDS = 300
_SAID = 40  # lines of what was printed, from either end


@dataclass(frozen=True)
class _Command:
    """A command, its line in the block, the one after it, and what it is said to print."""

    line: int
    end: int
    text: str
    shown: list[str]


def run_console(text: str, folder: Path) -> Iterator[tuple[int, str]]:
    """What does not hold: the line in the block, and what is wrong with it."""
    first, *_ = text.splitlines() or [""]
    if not first.startswith("$ "):
        yield 0, "the first line of a console block is a command after '$ '"
        return
    for command in _commands(text):
        try:
            status, printed = _run(command.text, folder)
        except ValueError as error:
            yield command.line, str(error)
            continue
        if not command.shown:
            if status:
                yield command.line, f"exit status {status}: {command.text}\n{_indented(printed)}"
            continue
        wrong = mismatch(command.shown, printed)
        if wrong is not None:
            index, what = wrong
            said = f"exit status {status}, printed:\n{_indented(printed)}"
            yield command.end + index, f"{command.text}: {what}\n{said}"


def check_commands(text: str) -> Iterator[tuple[int, str]]:
    """The lines that are not known as commands that cannot be run here."""
    for number, line in enumerate(text.splitlines()):
        for command in line.partition("#")[0].split("&&"):
            if command.strip() and not _UNRUN.match(command.strip()):
                yield number, f"{command.strip()!r} could be run, in a console block"


def mismatch(shown: list[str], printed: list[str]) -> tuple[int, str] | None:
    """The first shown line that was not printed there, by its index.

    A line ``…`` stands for any lines, ``…`` in a line for any text.
    """
    position, starts = 0, [0, *(i + 1 for i, line in enumerate(shown) if line.strip() == "…"), len(shown) + 1]
    for start, after in pairwise(starts):
        part = [_pattern(line) for line in shown[start : after - 1]]
        places = range(1) if start == 0 else range(position, len(printed) + 1)
        fits = {place: _fit(part, printed[place:]) for place in places}
        whole = [place for place, count in fits.items() if count == len(part)]
        if not whole:
            index = start + max(fits.values(), default=0)
            return index, f"not printed here: {shown[index]!r}"
        place = whole[0]
        if part and after > len(shown):  # nothing may follow
            place = whole[-1]
            if place + len(part) < len(printed):
                return len(shown) - 1, f"more was printed after this: {printed[place + len(part)]!r}"
        position = place + len(part)
    return None


def _fit(part: list[re.Pattern[str]], printed: list[str]) -> int:
    """How many lines fit."""
    for count, pattern in enumerate(part):
        if count >= len(printed) or not pattern.fullmatch(printed[count]):
            return count
    return len(part)


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, line.rstrip().split("…"))))


def _commands(text: str) -> Iterator[_Command]:
    lines = text.splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("$ ")]
    for start, after in zip(starts, [*starts[1:], len(lines)], strict=True):
        end = start + 1
        while lines[end - 1].endswith("\\") and end < after:
            end += 1
        text = "".join(line.rstrip("\\") for line in lines[start:end]).removeprefix("$ ")
        yield _Command(start, end, text, _trimmed(lines[end:after]))


def _trimmed(lines: list[str]) -> list[str]:
    """Without empty lines around them, and without spaces at their ends."""
    return "\n".join(line.rstrip() for line in lines).strip("\n").splitlines()


def _run(text: str, folder: Path) -> tuple[int, list[str]]:
    """Exit status and printed lines.

    Raises:
        ValueError: it is none of the commands that run here.
    """
    words = shlex.split(text, comments=True)
    target = words.pop() if len(words) > 2 and words[-2] == ">" else None
    if target is not None:
        words.pop()
    settings = {}
    while words and re.fullmatch(r"[A-Z_]+=.*", words[0]):
        name, _, settings_value = words.pop(0).partition("=")
        settings[name] = settings_value
    program, *arguments = words or [""]
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        if program == "archcheck":
            status, printed = _archcheck(arguments)
        elif program == "cat":
            status, printed = 0, "".join((folder / name).read_text("utf-8") for name in arguments)
        elif program == "pytest":
            status, printed = _pytest(arguments, folder)
        elif program == "python":
            status, printed = _python(arguments, folder)
        else:
            raise ValueError(
                f"{program!r} is none of the commands that run here: archcheck, cat, pytest, python"
            )
    if target is not None:
        (folder / target).write_text(printed, "utf-8")
        printed = ""
    return status, _trimmed(printed.splitlines())


def _archcheck(arguments: list[str]) -> tuple[int, str]:
    """In this process, where torch is imported already."""
    printed = StringIO()
    with redirect_stdout(printed), redirect_stderr(printed):
        try:
            status = cli.main(arguments)
        except SystemExit as error:  # argparse's
            status = error.code if isinstance(error.code, int) else 1
    return status, printed.getvalue()


def _pytest(arguments: list[str], folder: Path) -> tuple[int, str]:
    said = folder.parent / f"{folder.name}.said"
    said.write_bytes(b"")
    status = run_pytest([*_PLUGINS_OFF, *arguments], folder, said, said)
    return status, said.read_text("utf-8")


def _python(arguments: list[str], folder: Path) -> tuple[int, str]:
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        timeout=_SECONDS,
        check=False,
    )
    return run.returncode, run.stdout


def _indented(lines: list[str]) -> str:
    if len(lines) > 2 * _SAID:
        lines = [*lines[:_SAID], f"… {len(lines) - 2 * _SAID} lines more", *lines[-_SAID:]]
    return "\n".join(f"    {line}".rstrip() for line in lines)
