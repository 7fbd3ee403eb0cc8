"""Violations in words, all of one test together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_archcheck.errors import more
from pytest_archcheck.graph.depth import DepthExplanation
from pytest_archcheck.invariants.base import Violation
from pytest_archcheck.matching.results import Match
from pytest_archcheck.reports.depth import render_depth
from pytest_archcheck.reports.match import render_match
from pytest_archcheck.traces import Trace


def render_violations(
    trace: Trace, violations: Sequence[tuple[str, Violation]], judged: int, *, full: bool
) -> str:
    """The report of one test: each violation under the mark that stated it.

    The first line is the verdict. ``judged`` is how many marks were judged on the trace.
    """
    return "\n".join(_lines(trace, violations, judged, full))


def _lines(
    trace: Trace, violations: Sequence[tuple[str, Violation]], judged: int, full: bool
) -> Iterator[str]:
    _, first = violations[0]
    others = f" (and {len(violations) - 1} more)" if len(violations) > 1 else ""
    model = trace.model.type.rpartition(".")[2]
    subject = "" if first.where == "the model" else f"{first.where}: "
    yield f"{model} is not as stated: {subject}expected {first.expected}, found {first.found}{others}"
    broken = len({statement for statement, _ in violations})
    where = f"{trace.model.type} on {trace.placement}, MACs {trace.status}"
    marks = "marks and budgets" if any(text.startswith("arch_budgets") for text, _ in violations) else "marks"
    yield f"{broken} of {judged} {marks} violated by {where}"
    for statement, violation in violations:
        yield ""
        yield statement
        yield f"  where:    {violation.where}"
        yield f"  expected: {violation.expected}"
        yield f"  found:    {violation.found}"
        if violation.why:
            yield f"  why:      {violation.why}"
        yield from (f"  {line}" for line in _evidence(violation, full))
        if violation.advice:
            yield f"  do:       {violation.advice}"
        yield f"  {more(_topic(statement))}"


def _topic(statement: str) -> str:
    """The mark, or ``arch_budgets``, that a statement begins with."""
    return statement.lstrip("@").partition("(")[0].partition(":")[0]


def _evidence(violation: Violation, full: bool) -> Sequence[str]:
    if isinstance(violation.evidence, DepthExplanation):
        return render_depth(violation.evidence, full=full).splitlines()
    if isinstance(violation.evidence, Match):
        return render_match(violation.evidence, full=full).splitlines()
    return [f"  {line}" for line in violation.evidence]
