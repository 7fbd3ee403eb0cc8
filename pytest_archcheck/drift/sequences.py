"""Two sequences side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Sequence
from difflib import SequenceMatcher

_LARGE = 20_000_000
"""Above this number of steps a search for what is equal is not worth its time."""


def aligned(old: Sequence[Hashable], new: Sequence[Hashable]) -> Iterator[tuple[str, int, int, int, int]]:
    """The opcodes of ``difflib``: ``("equal", i1, i2, j1, j2)`` and so on; a common beginning and end cost nothing."""
    start = 0
    while start < min(len(old), len(new)) and old[start] == new[start]:
        start += 1
    end = 0
    while end < min(len(old), len(new)) - start and old[-1 - end] == new[-1 - end]:
        end += 1
    if start:
        yield "equal", 0, start, 0, start
    left, right = old[start : len(old) - end], new[start : len(new) - end]
    counts = Counter(right)
    if sum(counts[item] for item in left) * min(len(left), len(right)) > _LARGE:
        yield "replace", start, start + len(left), start, start + len(right)
    else:
        for tag, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
            yield tag, start + i1, start + i2, start + j1, start + j2
    if end:
        yield "equal", len(old) - end, len(old), len(new) - end, len(new)
