"""A comparison up to names in words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from pytest_archcheck.matching.results import Match

_SHOWN = 10


def render_match(match: Match, *, full: bool = False) -> str:
    """The verdict and the differences as text; ``full=False`` cuts a long list, and says so."""
    return "\n".join(_lines(match, full))


def _lines(match: Match, full: bool) -> Iterator[str]:
    if match:
        yield "the same architecture up to names"
        for group in match.ambiguous:
            yield f"  ambiguous, paired in order of execution: {', '.join(group)}"
        if match.by_shape:
            yield f"  compared by shape, not by value (no state dict holds them): {_listed(match.by_shape)}"
        return
    number = len(match.differences)
    yield f"not the same architecture: {number} difference{'s' if number > 1 else ''}"
    shown = number if full else _SHOWN
    yield from (f"  {difference}" for difference in match.differences[:shown])
    if number > shown:
        yield f"  … and {number - shown} more (all with -vv)"
    for group in match.ambiguous:
        yield f"  there were several ways to pair {_listed(group)}; the first was taken"


def _listed(names: Sequence[str]) -> str:
    more = f", … and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
