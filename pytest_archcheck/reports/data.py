"""A run for other programs; the schema is ``report.schema.json`` beside this file."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

from pytest_archcheck.reports.layers import totals
from pytest_archcheck.reports.run import Checked, Run

SCHEMA = "archcheck-report/1"


def as_json(run: Run) -> str:
    """Tests with what became of their statements, and the figures of every model, as JSON text."""
    return json.dumps(as_data(run), indent=2, ensure_ascii=False) + "\n"


def as_data(run: Run) -> dict[str, Any]:
    """The same as dicts and lists."""
    return {
        "schema": SCHEMA,
        "versions": dict(run.versions),
        "failing": list(run.failing),
        "tests": [_test(checked) for checked in run.checked],
        "models": {key: totals(trace) for key, trace in run.traces.items()},
    }


def _test(checked: Checked) -> dict[str, Any]:
    return {
        "test": checked.test,
        "outcome": checked.outcome,
        "model": checked.trace or None,
        "placement": checked.placement or None,
        "seconds": checked.seconds,
        "notes": list(checked.notes),
        "statements": [{**asdict(statement), "holds": statement.holds} for statement in checked.statements],
        "snapshots": [
            {
                "name": snapshot.name,
                "state": snapshot.state,
                "severity": snapshot.severity or None,
                "verdict": snapshot.verdict or None,
            }
            for snapshot in checked.snapshots
        ],
    }
