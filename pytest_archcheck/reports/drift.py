"""A drift in words: the verdict in the first line, then causes, consequences, and what stayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from pytest_archcheck.drift.groups import Group
from pytest_archcheck.drift.severity import Severity
from pytest_archcheck.drift.writer import spec_text
from pytest_archcheck.reports.markdown import escaped, table
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from pytest_archcheck.drift.compare import Drift

_CAUSES_SHOWN = 12
_CONSEQUENCES_SHOWN = 5
_COSMETIC_SHOWN = 3
_LONGEST = 160
_ROWS = 50


def verdict(drift: Drift, name: str = "") -> str:
    """``resnet50 drifted: layer2.0.conv1 stride (1, 1) → (2, 2) and 5 more · behaviour · MACs −5.7 %``."""
    name = name or drift.after.model.type.rpartition(".")[2]
    if not drift:
        return f"{name}: no drift"
    parts = [f"{name} drifted: {_first(drift)}", str(drift.severity)]
    macs = _percent(drift.before.macs, drift.after.macs)
    if macs:
        parts.append(f"MACs {macs}")
    return " · ".join(parts)


def _first(drift: Drift) -> str:
    """The gravest cause, and how many there are besides."""
    groups = [group for group in drift.groups if group.first.severity > Severity.COSMETIC] or drift.groups
    if not groups:
        return str(drift.consequences[0])
    told = groups[0] if groups[0].is_everywhere or groups[0].first.attribute == "name" else None
    number = sum(len(group.changes) for group in groups) - (len(told.changes) if told else 1)
    return _cut(str(told or groups[0].first)) + (f" and {number} more" if number else "")


def explain(drift: Drift, name: str = "", *, full: bool = False, hint: str = "") -> str:
    """The whole story; without ``full`` long lists are cut, and say so; ``hint`` says how to see all."""
    return "\n".join(_lines(drift, name, full, hint))


def markdown(drift: Drift, name: str = "") -> str:
    """The same for a pull request: the verdict, a table of causes, the rest folded."""
    parts = [f"### {escaped(verdict(drift, name))}"]
    if drift.groups:
        rows = ((str(group.first.severity), _cut(str(group))) for group in drift.groups[:_ROWS])
        parts.append(table(("severity", "change"), rows))
        if len(drift.groups) > _ROWS:
            parts.append(f"… and {len(drift.groups) - _ROWS} more")
    if drift.consequences:
        lines = [f"- {escaped(_cut(str(group)))}" for group in drift.effects[:_ROWS]]
        more = [f"- … and {len(drift.effects) - _ROWS} more"] if len(drift.effects) > _ROWS else []
        title = f"<summary>what follows from it ({len(drift.consequences)})</summary>"
        parts.append("\n".join(["<details>", title, "", *lines, *more, "", "</details>"]))
    if drift:
        parts.append("\n".join(f"- {escaped(line)}" for line in _totals(drift)))
    return "\n\n".join(parts)


def as_data(drift: Drift, name: str = "") -> dict[str, Any]:
    """The same for programs: every change, and the numbers before and after."""
    return {
        "drift": bool(drift),
        "severity": None if drift.severity is None else str(drift.severity),
        "verdict": verdict(drift, name),
        "changes": [
            {
                "layer": change.layer,
                "attribute": change.attribute,
                "before": change.before,
                "after": change.after,
                "severity": str(change.severity),
                "cause": change.cause,
                "kind": change.kind,
            }
            for change in (*drift.causes, *drift.consequences)
        ],
        "renamed_keys": drift.renamed_keys,
        "before": {**totals(drift.before), "status": drift.before.status},
        "after": {**totals(drift.after), "status": drift.after.status},
    }


def _lines(drift: Drift, name: str, full: bool, hint: str) -> Iterator[str]:
    yield verdict(drift, name)
    if drift:
        causes = [group for group in drift.groups if group.first.severity > Severity.COSMETIC]
        cosmetic = [group for group in drift.groups if group.first.severity == Severity.COSMETIC]
        yield from _section("what changed", causes, _CAUSES_SHOWN, full, hint)
        yield from _section("what follows from it", drift.effects, _CONSEQUENCES_SHOWN, full, hint)
        yield from _section("cosmetic", cosmetic, _COSMETIC_SHOWN, full, hint)
        yield from _totals(drift)
    yield from not_compared(drift)


def not_compared(drift: Drift) -> Iterator[str]:
    """What a file holds that this release does not know."""
    for section in drift.before.sections:
        yield f"not compared: section {section.title!r}, which this release does not know; it is kept"


def _section(title: str, groups: Sequence[Group], shown: int, full: bool, hint: str) -> Iterator[str]:
    if not groups:
        return
    yield f"{title} ({sum(len(group.changes) for group in groups)}):"
    for group in groups if full else groups[:shown]:
        yield f"  {line(group, full=full)}"
        if full and len(group.changes) > 1:
            yield from (f"    {change}" for change in group.changes)
    if len(groups) > shown and not full:
        yield f"  … and {sum(len(group.changes) for group in groups[shown:])} more{hint}"


def line(group: Group, *, full: bool = False) -> str:
    """One line for a group, with its severity where it is a cause above cosmetic."""
    text = str(group) if full else _cut(str(group))
    rated = group.first.cause and group.first.severity > Severity.COSMETIC
    return f"{text}  [{group.first.severity}]" if rated else text


def _cut(text: str) -> str:
    """A line short enough to be read, without the middle of what stands before and after an arrow."""
    if len(text) <= _LONGEST:
        return text
    parts = text.split(" → ")
    room = max(_LONGEST // len(parts), 12) - 3
    return " → ".join(p if len(p) <= room else f"{p[: room // 2]}…{p[-(room // 2) :]}" for p in parts)


def totals(trace: Trace) -> dict[str, int | str]:
    """The derived numbers of a trace that a comparison shows, by name."""
    return {
        "parameters": trace.params.total,
        "state-dict keys": sum(tensor.saved for tensor in trace.state),
        "MACs": trace.macs,
        "depth (paper)": trace.depth("paper"),
        "output": spec_text(trace.output),
    }


def _totals(drift: Drift) -> Iterator[str]:
    before, after = totals(drift.before), totals(drift.after)
    keys = _keys(drift)
    same: list[str] = []
    for label, old in before.items():
        new = after[label]
        if label == "state-dict keys" and keys:
            yield f"{label}: {old} → {new} ({keys})"
        elif old == new:
            same.append(f"{label} {new:,}" if isinstance(new, int) else f"{label} {new}")
        elif isinstance(old, int) and isinstance(new, int):
            share = f" ({_percent(old, new)})" if label in ("parameters", "MACs") else ""
            yield f"{label}: {old:,} → {new:,}{share}"
        else:
            yield f"{label}: {old} → {new}"
    if same:
        yield f"unchanged: {' · '.join(same)}"
    for trace in (drift.before, drift.after):
        if trace.status != "complete":
            yield f"MACs {trace.status}"
            break


def _keys(drift: Drift) -> str:
    """What became of the state dict's keys; empty where nothing did."""
    old, new = (
        {tensor.name for tensor in trace.state if tensor.saved} for trace in (drift.before, drift.after)
    )
    renamed = drift.renamed_keys
    gone, came = old - new - renamed.keys(), new - old - set(renamed.values())
    numbers = (len(renamed), "renamed"), (len(gone), "gone"), (len(came), "new")
    return ", ".join(f"{number} {what}" for number, what in numbers if number)


def _percent(old: int, new: int) -> str:
    if old == new or not old:
        return ""
    change = 100 * (new - old) / old
    sign = "+" if change > 0 else "−"
    return f"{sign}{abs(change):.1f} %" if abs(change) >= 0.05 else f"{sign}<0.1 %"
