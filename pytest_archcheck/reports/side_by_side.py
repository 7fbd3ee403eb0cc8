"""A drift as plain data for the page: its changes with their severities, and the changed lines in two columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any, TypeAlias

from pytest_archcheck.drift.compare import Drift
from pytest_archcheck.reports.drift import not_compared, totals

CONTEXT = 3
"""Unchanged lines shown around those that changed."""

Side: TypeAlias = "str | None"


def drift_data(drift: Drift) -> dict[str, Any]:
    """The causes and what follows, the totals on both sides, and the changed lines with their context.

    A row of ``lines`` is the number and text of a line before, and the same after, each null where there is none; a
    number alone is how many equal lines are left out.
    """
    before, after = totals(drift.before), totals(drift.after)
    return {
        "causes": [[str(group.first.severity), str(group)] for group in drift.groups],
        "effects": [str(group) for group in drift.effects],
        "totals": [[label, _shown(old), _shown(after[label])] for label, old in before.items()],
        "notCompared": list(not_compared(drift)),
        "lines": list(aligned(drift.before.to_text().splitlines(), drift.after.to_text().splitlines())),
    }


def aligned(
    before: Sequence[str], after: Sequence[str]
) -> Iterator[int | tuple[int | None, Side, int | None, Side]]:
    """The lines that differ in two columns, with context; lines of one layer stand beside each other."""
    matcher = SequenceMatcher(None, before, after, autojunk=False)
    at = 0
    for group in matcher.get_grouped_opcodes(CONTEXT):
        if group[0][1] > at:
            yield group[0][1] - at
        for tag, start, end, new_start, new_end in group:
            if tag == "replace":
                yield from _replaced(before, after, (start, end), (new_start, new_end))
                continue
            for place in range(max(end - start, new_end - new_start)):
                old = start + place if tag != "insert" else None
                new = new_start + place if tag != "delete" else None
                yield _row(before, after, old, new)
        at = group[-1][2]
    if at < len(before):
        yield len(before) - at


def _replaced(
    before: Sequence[str], after: Sequence[str], old: tuple[int, int], new: tuple[int, int]
) -> Iterator[tuple[int | None, Side, int | None, Side]]:
    """Lines of a changed stretch, paired by the name that they begin with."""
    named = [_name(line) for line in before[slice(*old)]]
    renamed = [_name(line) for line in after[slice(*new)]]
    matcher = SequenceMatcher(None, named, renamed, autojunk=False)
    for tag, start, end, new_start, new_end in matcher.get_opcodes():
        if tag == "equal":
            for place in range(end - start):
                yield _row(before, after, old[0] + start + place, new[0] + new_start + place)
            continue
        for place in range(old[0] + start, old[0] + end):
            yield _row(before, after, place, None)
        for place in range(new[0] + new_start, new[0] + new_end):
            yield _row(before, after, None, place)


def _name(line: str) -> str:
    """What a line is about: its first word, and of a parameter or an output the second too."""
    words = line.split("(", 1)[0].split()
    return " ".join(words[:2] if words and words[0] in _KINDS else words[:1])


_KINDS = ("param", "buffer", "packed", "const", "opaque", "module", "output")


def _row(
    before: Sequence[str], after: Sequence[str], old: int | None, new: int | None
) -> tuple[int | None, Side, int | None, Side]:
    return (
        None if old is None else old + 1,
        None if old is None else before[old],
        None if new is None else new + 1,
        None if new is None else after[new],
    )


def _shown(value: int | str) -> str:
    return f"{value:,}" if isinstance(value, int) else value
