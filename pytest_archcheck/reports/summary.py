"""A run in a few lines, for the terminal, and as Markdown, for the summary of a CI run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from pytest_archcheck.reports.figures import at_least
from pytest_archcheck.reports.markdown import escaped, table
from pytest_archcheck.reports.run import STATES, Checked, Run

_SLOWEST = 3
_SLOW = 0.1
"""Seconds below which no recording is slow."""
_UNUSED = 3
_ROWS = 200
"""Rows of Markdown; a summary on GitHub may have a mebibyte."""
_WORDS = {
    "same": "the same",
    "tolerated": "drifted without failing",
    "drifted": "drifted",
    "missing": "not recorded yet",
    "unreadable": "unreadable",
    "written": "new",
    "updated": "updated",
}


def lines(run: Run, unused: Sequence[str] = ()) -> Iterator[str]:
    """The section at the end of a run; ``unused`` are the paths of snapshots that no test compared with."""
    yield _verdict(run)
    states = _states(run)
    parts = [f"{number} {what}" for what, number in states.items()]
    if unused:
        parts.append(f"{len(unused)} unused")
    if parts:
        yield f"snapshots: {', '.join(parts)}"
    if unused:
        more = f" and {len(unused) - _UNUSED} more" if len(unused) > _UNUSED else ""
        yield f"unused: {', '.join(unused[:_UNUSED])}{more}; where a test was renamed, rename its file too (git mv)"
    slow = [checked for checked in run.checked if (checked.seconds or 0) >= _SLOW]
    slow.sort(key=lambda checked: -(checked.seconds or 0))
    if slow:
        told = (
            f"{_short(checked)} {checked.seconds:.1f} s on {checked.placement}" for checked in slow[:_SLOWEST]
        )
        yield f"slowest recordings: {', '.join(told)}"


def line(run: Run) -> str:
    """The same in a line; empty where all is as stated."""
    wrong, drifted = _wrong(run), _drifted(run)
    if not wrong:
        return ""
    number = len(run.checked)
    told = f"architecture: of {number} test{'s' * (number != 1)} {wrong}"
    return told + (f"; drifted: {_counted(drifted)}" if drifted else "")


def markdown(run: Run) -> str:
    """A table of all tests, each with its model's numbers, and under it what is not as stated."""
    rows = [_row(run, checked) for checked in run.checked]
    rows.sort(key=lambda row: row[0] == "passed")
    columns = ("result", "test", "model", "depth", "parameters", "MACs", "snapshot")
    parts = ["## Architecture", escaped(_verdict(run)), table(columns, rows[:_ROWS], right=(3, 4, 5))]
    if len(rows) > _ROWS:
        parts.append(f"… and {len(rows) - _ROWS} more")
    parts += _details(run)
    return "\n\n".join(parts)


def _verdict(run: Run) -> str:
    number = len(run.checked)
    return f"{number} test{'s' if number != 1 else ''} of architecture: {_wrong(run) or 'all as stated'}"


def _wrong(run: Run) -> str:
    """How many tests fail by what they state of an architecture, and how many otherwise; empty for none."""
    failed = [checked for checked in run.checked if checked.outcome in ("failed", "error")]
    bad = sum(_is_not_as_stated(checked) for checked in failed)
    told = [f"{bad} not as stated"] if bad else []
    return ", ".join([*told, f"{len(failed) - bad} failed otherwise"] if len(failed) > bad else told)


def _is_not_as_stated(checked: Checked) -> bool:
    drifted = (snapshot.state in ("drifted", "missing", "unreadable") for snapshot in checked.snapshots)
    return any(drifted) or not all(statement.holds for statement in checked.statements)


def _states(run: Run) -> dict[str, int]:
    """How many snapshots there are of each state, drifted ones by severity."""
    counts: Counter[str] = Counter()
    for state in STATES:
        for checked in run.checked:
            for snapshot in checked.snapshots:
                if snapshot.state == state:
                    severity = f" ({snapshot.severity})" if state in ("drifted", "tolerated") else ""
                    counts[f"{_WORDS[state]}{severity}"] += 1
    return dict(counts)


def _drifted(run: Run) -> Counter[str]:
    return Counter(
        snapshot.severity
        for checked in run.checked
        for snapshot in checked.snapshots
        if snapshot.state == "drifted"
    )


def _counted(numbers: Counter[str]) -> str:
    return ", ".join(f"{number} {what}" for what, number in numbers.items())


def _short(checked: Checked) -> str:
    return checked.test.rpartition("::")[2]


def _row(run: Run, checked: Checked) -> tuple[str, ...]:
    trace = run.traces.get(checked.trace)
    states = ", ".join(_WORDS[snapshot.state] for snapshot in checked.snapshots)
    if trace is None:
        return checked.outcome, checked.test, checked.model, "", "", "", states
    macs = at_least(trace.macs, trace.status) + ("" if trace.status == "complete" else f" ({trace.status})")
    depth, params = str(trace.depth("paper")), f"{trace.params.total:,}"
    return checked.outcome, checked.test, trace.model.type, depth, params, macs, states


def _details(run: Run) -> Iterator[str]:
    """What is not as stated, test by test, folded."""
    for checked in run.checked[:_ROWS]:
        told = [
            f"- {statement.text}: {statement.where}: expected {statement.expected}, found {statement.found}"
            for statement in checked.statements
            if not statement.holds
        ]
        told += [f"- {snapshot.verdict}" for snapshot in checked.snapshots if snapshot.verdict]
        if told:
            title = f"<summary>{_html(checked.test)}</summary>"
            yield "\n".join(
                ["<details>", title, "", *(f"- {escaped(text[2:])}" for text in told), "", "</details>"]
            )


def _html(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
