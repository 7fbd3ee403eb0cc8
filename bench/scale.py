"""How the time grows with the number of calls: chains of 1,000, 10,000 and 20,000 layers.

``python bench/scale.py``. The chain is of linear layers and layer norms in turn. Every step is timed once on traces
that were just made, as it happens in use, in turn for the sizes; medians. For the drift one layer norm in the middle
has another eps, and both traces are read from their texts, as snapshots are.

Ten times and twice are linear. What is more from 1,000 to 10,000, and not from there on, we take for the
processor's caches: they hold all of the records of 1,000 layers (1 MB), and not those of 10,000.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from statistics import median

import torch
from measure import ratio, seconds, table, versions
from torch import nn

from pytest_archcheck import Trace, diff, trace
from pytest_archcheck.drift.reader import Known, read

SIZES = (1_000, 10_000, 20_000)
ROUNDS = 3


def chain(length: int, changed: int | None = None) -> nn.Sequential:
    """Build a chain."""
    layers = [nn.LayerNorm(8) if at % 2 else nn.Linear(8, 8) for at in range(length)]
    if changed is not None:
        layers[changed] = nn.LayerNorm(8, eps=1e-3)
    return nn.Sequential(*layers)


def steps(length: int) -> dict[str, Callable[[], object]]:
    """Give what is timed, each from a trace that has answered nothing yet."""
    model = chain(length)
    first, second = (
        trace(m, (1, 8), device="meta").to_text() for m in (model, chain(length, length // 2 | 1))
    )
    known = Known()
    before, after = read(first, known), read(second, known)
    return {
        "recording": lambda: trace(model, (1, 8), device="meta"),
        "depth": lambda: replace(before).depth("paper"),
        "text": lambda: replace(before).to_text(),
        "parsing": lambda: Trace.from_text(first),
        "diff": lambda: diff(replace(before), replace(after)),
        "its explanation": lambda: str(diff(replace(before), replace(after))),
        "MACs": lambda: replace(before).macs,
        "stages": lambda: replace(before).stages,
        "shortcuts": lambda: replace(before).shortcuts,
        "branches": lambda: replace(before).branches,
        "receptive field": lambda: replace(before).receptive_field(),
        "same_as": lambda: replace(before).same_as(replace(before)),
    }


def once(length: int) -> dict[str, float]:
    """Time every step once, on traces that were just read."""
    return {name: seconds(run) for name, run in steps(length).items()}


if __name__ == "__main__":
    with torch.device("meta"):
        once(100)
        rounds = [[once(length) for length in SIZES] for _ in range(ROUNDS)]
    rows = []
    for name in rounds[0][0]:
        times = [[turn[at][name] for turn in rounds] for at in range(len(SIZES))]
        ratios = [f"{ratio(*pair):.1f}" for pair in pairwise(times)]
        rows.append([name, *(f"{1000 * median(each):.0f} ms" for each in times), *ratios])
    print(versions("torch"))
    print()
    steps_up = (f"{size / base:.0f} times as many" for base, size in pairwise(SIZES))
    print(table(["", *(f"{size:,} layers" for size in SIZES), *steps_up], rows))
