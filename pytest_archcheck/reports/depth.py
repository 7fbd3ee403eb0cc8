"""A depth explanation in words: what was counted, by group, and what was not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from itertools import groupby
from typing import Any

from pytest_archcheck.graph.depth import DepthExplanation
from pytest_archcheck.reports.markdown import escaped, table

_NAMES_SHOWN = 4
_GROUP_WIDTH = 10
"""Of a column that is wide enough for ``stage 1`` and ``head``."""


def render_depth(explanation: DepthExplanation, *, full: bool = True) -> str:
    """The explanation as text; ``full=False`` folds long groups."""
    lines = list(_lines(explanation, full))
    if any("…" in line for line in lines):
        lines.append("  every name: pytest -vv")
    return "\n".join(lines)


def markdown(explanation: DepthExplanation) -> str:
    """The same as Markdown."""
    counted = [(layer.name, str(layer.weight), layer.group, "") for layer in explanation.counted]
    left_out = [(layer.name, "", "", layer.reason) for layer in explanation.left_out]
    heading = f"### depth {explanation.depth} under {escaped(explanation.convention)}\n\n{escaped(explanation.rule)}"
    return (
        f"{heading}\n\n{table(('layer', 'counts', 'group', 'left out'), [*counted, *left_out], right=(1,))}"
    )


def as_data(explanation: DepthExplanation) -> dict[str, Any]:
    """The same for programs."""
    return {
        "convention": explanation.convention,
        "rule": explanation.rule,
        "depth": explanation.depth,
        "counted": [asdict(layer) for layer in explanation.counted],
        "left_out": [asdict(layer) for layer in explanation.left_out],
    }


def _lines(explanation: DepthExplanation, full: bool) -> Iterator[str]:
    rule = explanation.rule[:1].lower() + explanation.rule[1:]
    yield f"depth {explanation.depth} under {explanation.convention!r}: {rule}"
    yield "  counted:"
    width = max(_GROUP_WIDTH, *(len(layer.group) for layer in explanation.counted), 0)
    for group, layers in groupby(explanation.counted, key=lambda layer: layer.group):
        members = list(layers)
        number = sum(layer.weight for layer in members)
        names = [layer.name if layer.weight == 1 else f"{layer.name} (×{layer.weight})" for layer in members]
        yield f"    {group:<{width}} {number:>3}  {_folded(names, full)}"
    if explanation.left_out:
        yield "  left out:"
    reasons = sorted(explanation.left_out, key=lambda layer: _kind(layer.reason))
    for reason, left in groupby(reasons, key=lambda layer: _kind(layer.reason)):
        names = [layer.name for layer in left]
        yield f"    {len(names):>3}  {reason}: {_folded(names, full or len(names) <= 6)}"


def _kind(reason: str) -> str:
    return reason.partition(" into ")[0]


def _folded(names: list[str], full: bool) -> str:
    if full or len(names) <= _NAMES_SHOWN:
        return ", ".join(names)
    return f"{names[0]}, {names[1]}, … {names[-1]}"
