"""Write the picture of a model as a file, in the form that its name ends in."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pytest_archcheck.errors import UsageError
from pytest_archcheck.files import write_whole
from pytest_archcheck.graph.picture import Picture, picture
from pytest_archcheck.reports.dot import dot
from pytest_archcheck.reports.drawing import FORMS, draw
from pytest_archcheck.reports.mermaid import mermaid
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from pytest_archcheck.drift.compare import Drift

_TEXTS = {"dot": dot, "mmd": mermaid}


def checked_form(path: str) -> str:
    """The form that a file's name asks for.

    Raises:
        UsageError: it ends in none that can be written.
    """
    form = Path(path).suffix.lower().removeprefix(".")
    if form not in _TEXTS and form not in FORMS:
        known = ", ".join(f".{known}" for known in (*FORMS, *_TEXTS))
        raise UsageError(f"-o {path}: the name says what to write, and ends in one of {known}", see="graph")
    return form


def text_of(trace: Trace, drift: Drift | None, convention: str, form: str) -> str:
    """The picture as text: ``"dot"`` or ``"mmd"``."""
    return _TEXTS[form](picture(trace, drift, convention))


def write_picture(trace: Trace, drift: Drift | None, convention: str, path: str) -> None:
    """Write the picture whole or not at all.

    Raises:
        UsageError: the form is unknown, Graphviz is needed and not installed, or the file cannot be written.
    """
    form = checked_form(path)
    drawn = _content(picture(trace, drift, convention), form)
    try:
        write_whole(Path(path), drawn)
    except OSError as error:
        raise UsageError(
            f"-o {path}: {error.strerror or error}; name a file that can be written", see="graph"
        ) from None


def _content(found: Picture, form: str) -> bytes:
    if form in _TEXTS:
        return _TEXTS[form](found).encode("utf-8", "replace")
    return draw(dot(found), form)
