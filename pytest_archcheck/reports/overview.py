"""The static part of the page: the verdict and the table of tests, which need no script."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from html import escape
from urllib.parse import quote

from pytest_archcheck.drift.severity import Severity
from pytest_archcheck.reports.figures import at_least
from pytest_archcheck.reports.run import Checked, Compared, Run, Statement

_FAILED = ("failed", "error")
_SNAPSHOTS = {
    "same": ("good", "same"),
    "tolerated": ("warn", "tolerated"),
    "drifted": ("bad", "drifted"),
    "missing": ("bad", "missing"),
    "unreadable": ("bad", "unreadable"),
    "written": ("plain", "written"),
    "updated": ("warn", "updated"),
}
_OUTCOMES = {"passed": ("good", "passed"), "failed": ("bad", "failed"), "error": ("bad", "error")}


def verdict(run: Run) -> str:
    """``14 architectures checked in 16 tests, 2 drifted (1 behaviour, 1 cosmetic), 1 partial count``."""
    models = len({test.trace for test in run.checked if test.trace})
    tests = len(run.checked)
    parts = [f"{_number(models, 'architecture')} checked in {_number(tests, 'test')}"]
    drifted = [s for test in run.checked for s in test.snapshots if s.state == "drifted"]
    if drifted:
        kinds = Counter(snapshot.severity for snapshot in drifted)
        order = [str(severity) for severity in sorted(Severity, reverse=True)]
        told = [f"{kinds[name]} {name}" for name in order if kinds[name]]
        parts.append(f"{len(drifted)} drifted" + (f" ({', '.join(told)})" if told else ""))
    for state, word in (("tolerated", "tolerated drift"), ("missing", "missing snapshot")):
        number = sum(s.state == state for test in run.checked for s in test.snapshots)
        if number:
            parts.append(_number(number, word))
    violated = sum(not statement.holds for test in run.checked for statement in test.statements)
    if violated:
        parts.append(f"{_number(violated, 'statement')} violated")
    failed = sum(test.outcome in _FAILED for test in run.checked)
    if failed:
        parts.append(f"{_number(failed, 'test')} failed")
    elif len(parts) == 1 and tests:
        parts.append("all as stated")
    partial = sum(trace.status != "complete" for trace in run.traces.values())
    if partial:
        parts.append(_number(partial, "partial count"))
    return ", ".join(parts)


def state_of(run: Run) -> str:
    """``"bad"`` where a test failed, else ``"good"``."""
    return "bad" if any(test.outcome in _FAILED for test in run.checked) else "good"


def versions(run: Run) -> str:
    """The versions as items of a list."""
    return "".join(f"<li>{escape(name)} {escape(version)}</li>" for name, version in run.versions.items())


def rows(run: Run) -> str:
    """One table body for each test: a row with its numbers, and a row with its statements and snapshots."""
    return "\n".join(_test(run, test) for test in run.checked)


def anchor(key: str) -> str:
    """The URL hash of a model."""
    return f"model-{quote(key, safe='')}"


def _test(run: Run, test: Checked) -> str:
    trace = run.traces.get(test.trace)
    states = " ".join(_states(run, test))
    name = escape(test.test)
    if trace is not None:
        name = f'<a href="#{escape(anchor(test.trace))}">{name}</a>'
        model = f'<span class="model">{escape(trace.model.type)}</span>'
    else:
        model = '<span class="model">nothing was recorded</span>'
    cells = [
        f'<td data-label="Outcome">{_badge(*_OUTCOMES.get(test.outcome, ("plain", test.outcome)))}</td>',
        f'<th scope="row">{name}{model}{_notes(test)}</th>',
        _cell("Depth", "" if trace is None else str(trace.depth("paper"))),
        _cell("Parameters", "" if trace is None else f"{trace.params.total:,}"),
        _cell("MACs", "" if trace is None else _macs(trace.macs, trace.status)),
        f'<td data-label="Placement">{escape(test.placement)}</td>',
        _cell("Recording", _seconds(test)),
    ]
    return (
        f'<tbody class="test" data-states="{states}"><tr>{"".join(cells)}</tr>'
        f'<tr class="said"><td colspan="7">{_said(test)}</td></tr></tbody>'
    )


def _states(run: Run, test: Checked) -> Iterator[str]:
    """The filters that a test stays visible under."""
    if test.outcome in _FAILED or any(not statement.holds for statement in test.statements):
        yield "failing"
    if any(snapshot.state in ("drifted", "tolerated", "updated") for snapshot in test.snapshots):
        yield "drifted"
    if test.trace in run.traces and run.traces[test.trace].status != "complete":
        yield "partial"


def _cell(label: str, html: str) -> str:
    return f'<td class="number" data-label="{label}">{html}</td>'


def _macs(macs: int, status: str) -> str:
    number = at_least(macs, status)
    if status == "complete":
        return number
    return f'{number}<span class="partial">{escape(status)}</span>'


def _seconds(test: Checked) -> str:
    if test.seconds is None:
        return '<span class="model">shared</span>' if test.trace else ""
    return f"{test.seconds:.2f}&nbsp;s"


def _notes(test: Checked) -> str:
    return "".join(f'<span class="model">{escape(note)}</span>' for note in test.notes)


def _said(test: Checked) -> str:
    """The statements and snapshots, open where one of them does not hold."""
    lines = [_statement(statement, bool(test.trace)) for statement in test.statements]
    lines += [_snapshot(snapshot) for snapshot in test.snapshots]
    if not lines:
        return '<p class="model">no marks, budgets or snapshots</p>'
    broken = sum(not statement.holds for statement in test.statements)
    parts = []
    if test.statements:
        number = _number(len(test.statements), "statement")
        verb = "hold" if len(test.statements) > 1 else "holds"
        told = verb if test.trace else "not judged"
        parts.append(f"{broken} of {number} violated" if broken else f"{number} {told}")
    parts += [f"snapshot {_SNAPSHOTS.get(s.state, ('', s.state))[1]}" for s in test.snapshots[:1]]
    grave = broken or any(_SNAPSHOTS.get(s.state, ("",))[0] in ("bad", "warn") for s in test.snapshots)
    head = "".join(f'<th scope="col">{title}</th>' for title in _STATEMENT_COLUMNS)
    return (
        f"<details{' open' if grave else ''}><summary>{escape(' · '.join(parts))}</summary>"
        f'<table class="statements"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table></details>'
    )


_STATEMENT_COLUMNS = ("State", "Statement", "Expected", "Found", "Why")


def _statement(statement: Statement, was_recorded: bool) -> str:
    """One statement; where nothing was recorded, one that is not violated was not judged."""
    badge = _badge("bad", "violated")
    if statement.holds:
        badge = _badge("good", "holds") if was_recorded else _badge("plain", "not judged")
    why = [statement.why] if statement.why else []
    if statement.violations > 1:
        why.append(f"and {statement.violations - 1} more")
    found = f"{statement.where}: {statement.found}" if _is_somewhere(statement) else statement.found
    return _line(badge, statement.text, statement.expected, found, " · ".join(why))


def _is_somewhere(statement: Statement) -> bool:
    return bool(statement.found) and statement.where not in ("", "the model")


def _snapshot(snapshot: Compared) -> str:
    badge = _badge(*_SNAPSHOTS.get(snapshot.state, ("plain", snapshot.state)))
    severity = f"severity {snapshot.severity}" if snapshot.severity else ""
    return _line(badge, f"snapshot {snapshot.name}", "", snapshot.verdict, severity)


def _line(badge: str, text: str, expected: str, found: str, why: str) -> str:
    return (
        f'<tr><td data-label="State">{badge}</td><td data-label="Statement"><code>{escape(text)}</code></td>'
        f'<td data-label="Expected">{escape(expected)}</td><td data-label="Found">{escape(found)}</td>'
        f'<td data-label="Why">{escape(why)}</td></tr>'
    )


def _badge(kind: str, text: str) -> str:
    return f'<span class="badge {kind}">{escape(text)}</span>'


def _number(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
