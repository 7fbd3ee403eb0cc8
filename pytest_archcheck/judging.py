"""The marks and budgets of one test, judged on its trace: the text of the failure, and what became of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import pytest

from pytest_archcheck.errors import ArchcheckError, told
from pytest_archcheck.fixtures import COUNTER, PROBES, RECORDER
from pytest_archcheck.invariants import Context, Violation
from pytest_archcheck.reports.run import Statement
from pytest_archcheck.reports.violations import render_violations

if TYPE_CHECKING:
    from pytest_archcheck.statements import Statements
    from pytest_archcheck.traces import Trace

JUDGED: pytest.StashKey[list[Statement]] = pytest.StashKey()
"""What became of every statement of a test."""


def judge(item: pytest.Function, statements: Statements) -> str:
    """The report of every mark that the recorded trace violates; empty when all hold."""
    trace = cast("Trace", item.funcargs["arch_trace"])
    context = Context(
        recorder=item.stash.get(RECORDER, None),
        counter=item.stash.get(COUNTER, None),
        probes=item.stash.get(PROBES, None),
    )
    judged = item.stash.setdefault(JUDGED, [])
    violations: list[tuple[str, Violation]] = []
    for text, invariant in statements.invariants:
        try:
            found = list(invariant.check(trace, context))
        except ArchcheckError as error:
            judged.append(Statement(text, 1, "the model", "to be judged", str(error)))
            return f"{item.nodeid}: {text}: {told(error)}"
        judged.append(_outcome(text, found))
        violations += [(text, violation) for violation in found]
    if not violations:
        return ""
    full = item.config.get_verbosity() >= 2
    return render_violations(trace, violations, len(statements.invariants), full=full)


def _outcome(text: str, violations: list[Violation]) -> Statement:
    if not violations:
        return Statement(text)
    first = violations[0]
    return Statement(text, len(violations), first.where, first.expected, first.found, first.why)
