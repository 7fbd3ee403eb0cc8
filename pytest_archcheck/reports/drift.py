"""A drift in words: the verdict in the first line, then causes, consequences, and what stayed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_archcheck.drift.compare import Drift
from pytest_archcheck.drift.severity import Change, Severity
from pytest_archcheck.drift.writer import spec_text
from pytest_archcheck.traces import Trace

_CAUSES_SHOWN = 20
_CONSEQUENCES_SHOWN = 10
_COSMETIC_SHOWN = 5


def verdict(drift: Drift, name: str = "") -> str:
    """``resnet50 drifted: layer2.0.conv1 stride (1, 1) → (2, 2) and 5 more · behaviour · MACs −5.7 %``."""
    name = name or drift.after.model.type.rpartition(".")[2]
    if not drift:
        return f"{name}: no drift"
    told = drift.causes or drift.consequences
    first, *rest = [change for change in told if change.severity > Severity.COSMETIC] or told
    more = f" and {len(rest)} more" if rest else ""
    parts = [f"{name} drifted: {first}{more}", str(drift.severity)]
    macs = _percent(drift.before.macs, drift.after.macs)
    if macs:
        parts.append(f"MACs {macs}")
    return " · ".join(parts)


def explain(drift: Drift, name: str = "") -> str:
    """The whole story; long lists are cut, and say so."""
    return "\n".join(_lines(drift, name))


def _lines(drift: Drift, name: str) -> Iterator[str]:
    yield verdict(drift, name)
    if not drift:
        return
    cosmetic = [change for change in drift.causes if change.severity == Severity.COSMETIC]
    causes = [change for change in drift.causes if change.severity > Severity.COSMETIC]
    yield from _section("what changed", causes, _CAUSES_SHOWN)
    yield from _section("what follows from it", drift.consequences, _CONSEQUENCES_SHOWN)
    yield from _section("cosmetic", cosmetic, _COSMETIC_SHOWN)
    yield from _totals(drift.before, drift.after)


def _section(title: str, changes: Sequence[Change], shown: int) -> Iterator[str]:
    if not changes:
        return
    yield f"{title} ({len(changes)}):"
    for change in changes[:shown]:
        is_rated = change.cause and change.severity > Severity.COSMETIC
        yield f"  {change}  [{change.severity}]" if is_rated else f"  {change}"
    if len(changes) > shown:
        yield f"  … and {len(changes) - shown} more"


def _totals(before: Trace, after: Trace) -> Iterator[str]:
    same: list[str] = []
    for label, old, new in (
        ("parameters", before.params.total, after.params.total),
        ("state-dict keys", _keys(before), _keys(after)),
        ("MACs", before.macs, after.macs),
        ("depth (paper)", before.depth("paper"), after.depth("paper")),
    ):
        if isinstance(old, frozenset) and isinstance(new, frozenset):
            if old == new:
                same.append(f"{label} {len(new)}")
            else:
                change = f"{len(old - new)} gone, {len(new - old)} new"
                yield f"{label}: {len(old)} → {len(new)} ({change})"
        elif isinstance(old, int) and isinstance(new, int):
            if old == new:
                same.append(f"{label} {new:,}")
            else:
                share = f" ({_percent(old, new)})" if label in ("parameters", "MACs") else ""
                yield f"{label}: {old:,} → {new:,}{share}"
    if spec_text(before.output) == spec_text(after.output):
        same.append(f"output {spec_text(after.output)}")
    if same:
        yield f"unchanged: {' · '.join(same)}"
    for trace in (before, after):
        if trace.status != "complete":
            yield f"MACs {trace.status}"
            break


def _keys(trace: Trace) -> frozenset[str]:
    return frozenset(tensor.name for tensor in trace.state if tensor.saved)


def _percent(old: int, new: int) -> str:
    if old == new or not old:
        return ""
    change = 100 * (new - old) / old
    sign = "+" if change > 0 else "−"
    return f"{sign}{abs(change):.1f} %" if abs(change) >= 0.05 else f"{sign}<0.1 %"
