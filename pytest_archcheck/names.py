"""Names in words: many that are alike as one, and those nearest to one that is not there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from itertools import groupby

_NUMBER = re.compile(r"\d+")


def span(names: Iterable[str]) -> str:
    """Names that differ in one number as one: ``layer{2,3,4}.0.conv1``; others by the first and the last."""
    found = list(names)
    split = [_NUMBER.split(name) for name in found]
    numbers = [_NUMBER.findall(name) for name in found]
    if any(texts != split[0] for texts in split):
        return f"{found[0]}, … {found[-1]}" if len(found) > 2 else ", ".join(found)
    columns = list(zip(*numbers, strict=True))
    varying = [at for at, column in enumerate(columns) if len(set(column)) > 1]
    if len(varying) != 1:
        return f"{found[0]}, … {found[-1]}" if len(found) > 2 else ", ".join(found)
    parts = [split[0][0]]
    for at, column in enumerate(columns):
        parts += [f"{{{_runs(column)}}}" if at in varying else column[0], split[0][at + 1]]
    return "".join(parts)


def nearest(name: str, names: Iterable[str]) -> str:
    """The end of a message: ``"; the nearest are conv1, conv2"``, empty where none is near."""
    near = get_close_matches(name, names, n=3, cutoff=0.5)
    return f"; the nearest {'is' if len(near) == 1 else 'are'} {', '.join(near)}" if near else ""


def _runs(numbers: Sequence[str]) -> str:
    """``1,3-5`` for the numbers 1, 3, 4 and 5."""
    runs = []
    for _, run in groupby(enumerate(map(int, numbers)), key=lambda pair: pair[1] - pair[0]):
        members = [number for _, number in run]
        runs.append(str(members[0]) if len(members) == 1 else f"{members[0]}-{members[-1]}")
    return ",".join(",".join(run.split("-")) if _is_pair(run) else run for run in runs)


def _is_pair(run: str) -> bool:
    first, dash, last = run.partition("-")
    return bool(dash) and int(last) - int(first) == 1
