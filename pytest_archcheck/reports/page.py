"""The report of a run as one HTML page, which opens from a file and loads nothing.

Requirements this module meets:

* every name is text and never markup: escaped in the HTML, inert data in the JSON, written by the script as text;
* a policy in the page forbids it to load anything, and to run any other script than its own;
* without scripts the verdict and the table of tests are there;
* data of a model is read when it is opened, so that a page of many models opens as fast as one of few.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from pytest_archcheck.drift.compare import Drift, diff
from pytest_archcheck.errors import FormatError
from pytest_archcheck.reports import overview
from pytest_archcheck.reports.model_data import model_data
from pytest_archcheck.reports.run import Run
from pytest_archcheck.reports.side_by_side import drift_data
from pytest_archcheck.traces import Trace

_SCRIPTS = ("page.js", "tree.js", "model.js")
_UNSAFE = str.maketrans({char: f"\\u{ord(char):04x}" for char in "<>&\u2028\u2029"})


def render(run: Run, svg: Callable[[Trace, Drift | None], str | None]) -> str:
    """The page of a run.

    Args:
        run: what was checked.
        svg: gives the graph of a trace as an ``<svg>`` element, coloured by its drift where there is one, or ``None``
            where it cannot be drawn.
    """
    script = "\n".join(_read(name) for name in _SCRIPTS)
    return Template(_read("page.html")).substitute(
        policy=_policy(script),
        style=_read("page.css"),
        script=script,
        verdict=escape(overview.verdict(run)),
        state=overview.state_of(run),
        versions=overview.versions(run),
        rows=overview.rows(run),
        data="\n".join(_model(run, key, trace, svg) for key, trace in run.traces.items()),
    )


def _model(run: Run, key: str, trace: Trace, svg: Callable[[Trace, Drift | None], str | None]) -> str:
    """The data of one model and its graph, in elements that browsers do not run."""
    drifts: list[Drift] = []
    told: list[dict[str, Any]] = []
    for snapshot in (s for test in run.checked if test.trace == key for s in test.snapshots):
        if snapshot.before is None or any(each["name"] == snapshot.name for each in told):
            continue
        told.append({"name": snapshot.name, "state": snapshot.state, "verdict": snapshot.verdict})
        try:
            drift = diff(Trace.from_text(snapshot.before), trace)
        except FormatError as error:
            told[-1]["verdict"] = str(error)
            continue
        drifts.append(drift)
        told[-1].update(drift_data(drift))
    tests = [
        {"test": test.test, "outcome": test.outcome, "placement": test.placement, "notes": list(test.notes)}
        for test in run.checked
        if test.trace == key
    ]
    data = {**model_data(trace), "tests": tests, "drifts": told}
    graph = svg(trace, drifts[0] if drifts else None)
    return _element("model", key, data) + _element("graph", key, graph)


def _element(what: str, key: str, data: object) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).translate(_UNSAFE)
    return f'<script type="application/json" data-{what}="{escape(key)}">{text}</script>'


def _policy(script: str) -> str:
    """What the page may do: run this script and style itself; it loads nothing and sends nothing."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return (
        f"default-src 'none'; script-src 'sha256-{digest}'; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return (files("pytest_archcheck.reports") / "page" / name).read_text("utf-8")
