"""Markdown tables; what stands in them is text and never markup."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~])")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], right: Collection[int] = ()) -> str:
    """A table with some columns, by their position, aligned to the right."""
    lines = [_row(columns), _row(["---:" if at in right else "---" for at in range(len(columns))])]
    return "\n".join([*lines, *(_row([escaped(cell) for cell in row]) for row in rows)])


def escaped(text: str) -> str:
    """Text that no reader of Markdown takes for anything else."""
    return _SPECIAL.sub(r"\\\1", text).replace("\n", " ")


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"
