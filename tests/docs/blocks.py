"""Run the code blocks of a page and say which do not do what they show.

A page has one folder and one namespace, and its blocks run in order:

- ``python`` that starts with ``>>>`` is a session, run by doctest; that starts with a comment with a path
  (``# test_net.py``) is written to that file; any other is executed
- ``console``: lines after ``$`` are commands, the lines under each are what it prints, of which a line ``…`` stands for
  any lines and ``…`` in a line for any text; without such lines the command has to succeed
- ``toml``, ``ini``, ``yaml`` that start with a comment with a path are parsed and written to it
- ``sh``: what cannot be run here (an installation); ``text``: no code

A block of another language is a failure, so that none goes unrun unseen. After ``<!-- needs torch>=2.6 -->`` a block
runs only where that is installed, and is told of where it is not.
"""

from __future__ import annotations

import configparser
import doctest
import linecache
import re
import sys
import tomllib
import traceback
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from importlib import invalidate_caches, metadata
from io import StringIO
from pathlib import Path

import pytest
import torch
import yaml
from markdown_it import MarkdownIt
from packaging.requirements import Requirement

from pytest_archcheck.costs import formulas
from pytest_archcheck.graph import conventions
from tests.docs.commands import ENVIRONMENT, FOREIGN, check_commands, run_console

ROOT = Path(__file__).parents[2]
_PATH = re.compile(r"# ([\w./-]+\.\w+)\n")
_NEEDS = re.compile(r"<!-- needs (\S+) -->\n*")
_PARSERS: dict[str, Callable[[str], object]] = {
    "toml": tomllib.loads,
    "ini": lambda text: configparser.ConfigParser().read_string(text),
    "yaml": yaml.safe_load,
}


@dataclass(frozen=True)
class Block:
    """A code block: its language, its text, and the number of the text's first line in the page."""

    page: Path
    line: int
    language: str
    text: str
    needs: str = ""

    def where(self, line: int = 0) -> str:
        """Page and line; ``line`` counts from the block's first."""
        page = self.page.relative_to(ROOT) if self.page.is_relative_to(ROOT) else self.page.name
        return f"{page}:{self.line + line}"


@dataclass(frozen=True)
class Outcome:
    """What is wrong, and which blocks did not run for what they need."""

    wrong: list[str]
    unrun: list[str]


def blocks_of(page: Path) -> list[Block]:
    """The code blocks of a page, in order."""
    found, needs = [], ""
    for token in MarkdownIt("commonmark").parse(page.read_text("utf-8")):
        if token.type in ("fence", "code_block"):
            language, *_ = [*token.info.split(), ""]
            found.append(
                Block(page, token.map[0] + 1 + (token.type == "fence"), language, token.content, needs)
            )
        match = _NEEDS.fullmatch(token.content) if token.type == "html_block" else None
        needs = match[1] if match else ""
    return found


def run_page(page: Path, folder: Path) -> Outcome:
    """Run all blocks of a page in an empty folder."""
    outcome = Outcome([], [])
    with _apart(folder) as names:
        for block in blocks_of(page):
            if _is_missing(block.needs):
                outcome.unrun.append(f"{block.where()} needs {block.needs}")
            else:
                outcome.wrong.extend(_run(block, folder, names))
    return outcome


def _is_missing(needs: str) -> bool:
    if not needs:
        return False
    requirement = Requirement(needs)
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return True
    return not requirement.specifier.contains(version, prereleases=True)


@contextmanager
def _apart(folder: Path) -> Iterator[dict[str, object]]:
    """A page's namespace; what it does to this process is undone."""
    main = types.ModuleType("__main__")  # what a reader who pastes it sees as the names of classes
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.syspath_prepend(folder)
        patch.setitem(sys.modules, "__main__", main)
        patch.setattr(torch.cuda, "is_available", lambda: False)  # as in the processes that a page starts
        patch.setattr(sys, "dont_write_bytecode", True)  # a file written twice in a second
        for name in FOREIGN:
            patch.delenv(name, raising=False)
        for name, value in ENVIRONMENT.items():
            patch.setenv(name, value)
        for module in (formulas, conventions):
            patch.setattr(module._REGISTRY, "_functions", dict(module._REGISTRY._functions))
        try:
            yield vars(main)
        finally:
            _forget_modules(folder)


def _forget_modules(folder: Path) -> None:
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if file and Path(file).is_relative_to(folder):
            del sys.modules[name]
    linecache.checkcache()
    invalidate_caches()


def _run(block: Block, folder: Path, names: dict[str, object]) -> list[str]:
    """What is wrong with a block, each with page and line."""
    if block.language == "console":
        return [f"{block.where(line)}: {what}" for line, what in run_console(block.text, folder)]
    if block.language == "sh":
        return [f"{block.where(line)}: {what}" for line, what in check_commands(block.text)]
    if block.language == "python":
        if block.text.startswith(">>>"):
            return _session(block, names)
        if _PATH.match(block.text):
            return _write(block, folder, lambda text: compile(text, block.where(), "exec", dont_inherit=True))
        return _execute(block, names)
    if block.language in _PARSERS:
        return _write(block, folder, _PARSERS[block.language])
    if block.language == "text" or block.language.startswith("{"):  # a directive of the site, which builds it
        return []
    return [f"{block.where()}: nothing runs a block of the language {block.language!r}"]


def _session(block: Block, names: dict[str, object]) -> list[str]:
    test = doctest.DocTestParser().get_doctest(
        block.text, {}, block.page.stem, str(block.page), block.line - 1
    )
    test.globs = names
    said = StringIO()
    doctest.DocTestRunner(verbose=False, optionflags=doctest.ELLIPSIS).run(
        test, out=said.write, clear_globs=False
    )
    failures = [part.strip() for part in said.getvalue().split("*" * 70) if part.strip()]
    return [
        f"{block.where(_line_of(failure, block))}: the session prints something else\n{failure}"
        for failure in failures
    ]


def _line_of(failure: str, block: Block) -> int:
    return int(re.search(r", line (\d+), in ", failure)[1]) - block.line


def _execute(block: Block, names: dict[str, object]) -> list[str]:
    source = "\n" * (block.line - 1) + block.text
    try:
        with redirect_stdout(StringIO()):
            exec(compile(source, str(block.page), "exec", dont_inherit=True), names)
    except (Exception, SystemExit) as error:
        lines = [
            frame.lineno
            for frame in traceback.extract_tb(error.__traceback__)
            if frame.filename == str(block.page)
        ]
        line = error.lineno if isinstance(error, SyntaxError) else lines[0]
        return [f"{block.where((line or block.line) - block.line)}: {traceback.format_exc()}"]
    return []


def _write(block: Block, folder: Path, parse: Callable[[str], object]) -> list[str]:
    match = _PATH.match(block.text)
    if match is None:
        return [f"{block.where()}: a {block.language} block begins with a comment with a path"]
    path = (folder / match[1]).resolve()
    if not path.is_relative_to(folder.resolve()):
        return [f"{block.where()}: {match[1]} lies outside of the page's folder"]
    try:
        parse(block.text)
    except Exception as error:
        return [f"{block.where()}: {match[1]} cannot be read: {error}"]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(block.text, "utf-8")
    _forget_modules(folder)
    return []
