"""The site: ``nox -s docs`` builds it from the pages beside this file, without a warning."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

import pytest_archcheck
from pytest_archcheck import __version__

project = "pytest-archcheck"
author = "The pytest-archcheck developers"
release = version = __version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]
nitpicky = True
nitpick_ignore_regex = [
    ("py:.*", r"(_pytest|collections|os|torch|types)\..*"),  # others' own references are on the network
    ("py:class", r"Graph|Value|pytest_archcheck\.(marks\.Limits|matching\.names\.T|recording\..*)"),
]

myst_heading_anchors = 4  # as code hosts make them

autodoc_member_order = "bysource"
napoleon_numpy_docstring = False

html_theme = "furo"
html_title = f"pytest-archcheck {__version__}"
html_show_copyright = False
html_show_sourcelink = False
html_copy_source = False

_PAGES = {"../README.md": "index.md", "../LIMITATIONS.md": "limits.md"}
_ELSEWHERE = re.compile(r"\[([^]]+)\]\((\.\./(?:[\w./-]+\.md|pytest_archcheck/[\w./-]+))(#[\w-]+)?\)")
_DOCS = Path(__file__).parent


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _link_within_the_site)
    app.connect("autodoc-process-docstring", _keep_sentences_whole, priority=100)


def _link_within_the_site(app: Sphinx, name: str, source: list[str]) -> None:
    """Links to pages beside ``docs/``, and to files of the package, lead to what the site has: a page, or the file."""

    def replaced(link: re.Match[str]) -> str:
        text, path, anchor = link.groups("")
        if path in _PAGES and _PAGES[path] != f"{name}.md":
            return f"[{text}]({_PAGES[path]}{anchor})"
        if path.startswith("../pytest_archcheck/"):  # the one that is described, which may be installed
            package = Path(pytest_archcheck.__file__).parent
            path = os.path.relpath(package / path.removeprefix("../pytest_archcheck/"), _DOCS)
        return f"{{download}}`{text.strip('`')} <{path}>`"

    source[0] = _ELSEWHERE.sub(replaced, source[0])


def _keep_sentences_whole(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]
) -> None:
    """Napoleon takes what is before a colon in the first line of an attribute's docstring for its type."""
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]
