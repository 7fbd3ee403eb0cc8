"""Every mark, option and command has its section in the documentation, with a recipe that runs.

What there is is asked of pytest and of the command's parser, so that nothing can be added without a recipe.
"""

import argparse
import re
from functools import cache

import pytest

from pytest_archcheck import cli, plugin
from tests.docs.blocks import ROOT, blocks_of
from tests.docs.commands import mismatch
from tests.integration.support import in_subprocess

DOCS = ROOT / "docs"
RUN = {"python", "console", "ini", "toml", "yaml"}
"""The languages of blocks that the harness runs."""


@cache
def sections(page):
    """The code that runs below each heading of the second level, by what stands in it in backquotes."""
    text = (DOCS / page).read_text("utf-8").splitlines()
    headings = [
        (number, line[4:-1])
        for number, line in enumerate(text, 1)
        if line.startswith("## `") and line.endswith("`")
    ]
    starts = [number for number, line in enumerate(text, 1) if line.startswith("## ")]
    names = [name for _, name in headings]
    assert len(names) == len(set(names)), f"{page} has two sections of one name"
    blocks = [block for block in blocks_of(DOCS / page) if block.language in RUN]
    return {
        name: [
            block.text
            for block in blocks
            if start < block.line < min((s for s in starts if s > start), default=len(text) + 1)
        ]
        for start, name in headings
    }


def marks():
    return [re.match(r"\w+", marker)[0] for marker in plugin._MARKERS]


class Parser:
    """A parser of pytest that keeps the names it is given."""

    def __init__(self):
        self.names = []

    def getgroup(self, name, description=""):
        return self

    def addoption(self, *names, **settings):
        self.names += names

    def addini(self, name, help, **settings):  # as pytest calls it
        self.names.append(name)


def options():
    """What the plugin adds to pytest: options as they are written, and names for the configuration."""
    parser = Parser()
    plugin.pytest_addoption(parser)
    return parser.names


def commands():
    parser = cli._parser()
    (actions,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return actions.choices


def options_of_commands():
    return [
        (command, option.option_strings)
        for command, parser in commands().items()
        for option in parser._actions
        if option.option_strings and option.dest != "help"
    ]


def is_in(word, texts):
    return any(re.search(rf"(?<![\w-]){re.escape(word)}(?![\w-])", text) for text in texts)


@pytest.mark.parametrize("mark", marks())
def test_every_mark_has_a_recipe(mark):
    recipes = [text for text in sections("marks.md")[mark] if text.startswith("# test_")]

    assert any(re.search(rf"^@{mark}\(", text, re.MULTILINE) for text in recipes)


@pytest.mark.parametrize("name", [*options(), "--snapshot-update", "--junitxml", "-n", "-vv"])
def test_every_option_of_pytest_has_a_recipe(name):
    assert is_in(name, sections("options.md")[name])


@pytest.mark.parametrize("command", commands())
def test_every_command_has_a_recipe(command):
    found = sections("commands.md")[f"archcheck {command}"]

    assert any(f"$ archcheck {command} " in text for text in found)


@pytest.mark.parametrize(
    ("command", "names"),
    [pytest.param(*each, id=" ".join((each[0], *each[1]))) for each in options_of_commands()],
)
def test_every_option_of_a_command_has_a_recipe(command, names):
    lines = [
        line
        for text in sections("commands.md")[f"archcheck {command}"]
        for line in text.splitlines()
        if line.startswith(f"$ archcheck {command} ")
    ]

    for name in names:
        assert is_in(name, lines)


def test_the_pages_name_nothing_that_is_not_there():
    """A mark, option or command that went takes its section with it."""
    assert set(sections("marks.md")) == set(marks())
    assert {name for name in sections("options.md") if "arch" in name} == set(options())
    assert {name.removeprefix("archcheck ") for name in sections("commands.md")} == set(commands())


def test_what_a_mark_says_when_it_does_not_hold_is_what_it_says(pytester):
    """Every ``text`` block of the page is the output of a test in its ``broken.py``."""
    blocks = blocks_of(DOCS / "marks.md")
    for block in blocks:
        if block.language == "python" and (match := re.match(r"# (\w+\.py)\n", block.text)):
            (pytester.path / match[1]).write_text(block.text, "utf-8")
    run = in_subprocess(pytester, "-q", "broken.py")
    printed = [line.rstrip() for line in run.outlines]
    shown = [block for block in blocks if block.language == "text"]

    wrong = [
        f"{block.where()}: {told[1]}"
        for block in shown
        if (told := mismatch(["…", *block.text.splitlines(), "…"], printed))
    ]

    assert wrong == []
    assert len(shown) == len(marks())
