"""All that the page shows of one model, as plain data for JSON.

Units and rows stand in flat lists and know each other by number, so that a deeply nested model is no deeply nested
data, and a text that many calls share (a type, a shape) is stored once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import groupby
from typing import Any, TypeAlias

from pytest_archcheck.drift.writer import config_text, spec_text, value_text
from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.conventions import convention_names
from pytest_archcheck.graph.depth import DepthExplanation
from pytest_archcheck.graph.outline import Outline, Unit, fold, outline
from pytest_archcheck.records import Call, LayerCall, refs_in
from pytest_archcheck.reports.shares import shares
from pytest_archcheck.traces import Trace

CONVENTION = "paper"
"""The convention whose depth stands beside every layer."""

Row: TypeAlias = "int | list[Any]"
"""The number of a unit, or of a run of units that are alike: its name and their numbers."""


def model_data(trace: Trace) -> dict[str, Any]:
    """The numbers, the layers as a tree, the depths and the costs by part of a trace.

    A unit is a list in the order of ``UNIT``; of its texts all but the name are positions in ``texts``.
    """
    found = outline(trace, CONVENTION)
    explanation = trace.explain_depth(CONVENTION)
    texts: dict[str, int] = {}
    units, top = _units(found, _verdicts(trace, explanation), texts)
    return {
        "type": trace.model.type,
        "mode": "train" if trace.training else "eval",
        "inputs": [f"{spec.path} {spec_text(spec)}".strip() for spec in trace.inputs],
        "outputs": [f"{spec.path} {spec_text(spec)}".strip() for spec in trace.outputs],
        "numbers": _numbers(trace),
        "depths": list(_depths(trace)),
        "counted": [
            [part, [[layer.name, layer.weight] for layer in layers]]
            for part, layers in groupby(explanation.counted, key=lambda layer: layer.group)
        ],
        "leftOut": _left_out(explanation),
        "shares": [[share.part, share.macs, share.params] for share in shares(trace, found)],
        "units": units,
        "top": top,
        "texts": list(texts),
        "unused": [[each.name, each.kind, each.params] for each in found.unused],
    }


UNIT = (
    "name",
    "type",
    "config",
    "inputs",
    "outputs",
    "depth",
    "params",
    "macs",
    "uncounted",
    "verdict",
    "rows",
)
"""What is known of a unit: ``uncounted`` is how many calls in it have no MAC count, ``verdict`` the weight with which
the convention counted the call itself, or why it did not; else null."""


def _numbers(trace: Trace) -> dict[str, Any]:
    params = trace.params
    return {
        "params": params.total,
        "trainable": params.trainable,
        "buffers": params.buffers,
        "macs": trace.macs,
        "flops": trace.flops,
        "bytes": trace.size,
        "status": trace.status,
        "stages": list(trace.stages),
        "layers": len(trace.layers),
        "ops": len(trace.ops),
    }


def _depths(trace: Trace) -> Iterator[dict[str, Any]]:
    """Under every convention; of one that fails on this model, the reason."""
    for name in convention_names():
        try:
            found = trace.explain_depth(name)
        except UsageError as error:
            yield {"convention": name, "rule": str(error), "depth": None}
        else:
            yield {"convention": name, "rule": found.rule, "depth": found.depth}


def _left_out(explanation: DepthExplanation) -> list[list[Any]]:
    """The layers that were not counted, by reason; where they lie says each layer's name."""
    by_reason: dict[str, list[str]] = {}
    for layer in explanation.left_out:
        by_reason.setdefault(layer.reason.partition(" into ")[0], []).append(layer.name)
    return [[reason, names] for reason, names in by_reason.items()]


def _verdicts(trace: Trace, explanation: DepthExplanation) -> dict[str, int | str]:
    """By the id of a call, the weight that it was counted with, or why it was not."""
    first: dict[str, str] = {}
    for call in trace.calls:
        first.setdefault(call.id, call.id)
        if isinstance(call, LayerCall):
            first.setdefault(call.name, call.id)
    found: dict[str, int | str] = {first.get(each.name, ""): each.reason for each in explanation.left_out}
    for layer in explanation.counted:
        name = first.get(layer.name, "")
        before = found.get(name, 0)
        found[name] = layer.weight + (before if isinstance(before, int) else 0)
    return found


def _units(
    found: Outline, verdicts: dict[str, int | str], texts: dict[str, int]
) -> tuple[list[list[Any]], list[Row]]:
    ordered: list[Unit] = []
    waiting = list(reversed(found.units))
    while waiting:
        unit = waiting.pop()
        ordered.append(unit)
        waiting.extend(reversed(unit.parts))
    numbers = {unit: number for number, unit in enumerate(ordered)}

    def rows(units: Iterable[Unit]) -> list[Row]:
        return [
            numbers[run.first] if len(run.units) == 1 else [run.name, [numbers[unit] for unit in run.units]]
            for run in fold(units, lambda unit: unit.form)
        ]

    def text(words: str) -> int:
        return texts.setdefault(words, len(texts))

    return [
        [
            unit.name,
            text(unit.kind),
            text(_config(unit.call)),
            text(" ".join(map(spec_text, unit.call.inputs))),
            text(" ".join(map(spec_text, unit.call.outputs))),
            unit.depth,
            unit.params,
            unit.macs,
            len(unit.uncounted),
            verdicts.get(unit.name),
            rows(unit.parts),
        ]
        for unit in ordered
    ], rows(found.units)


def _config(call: Call) -> str:
    """A layer's constructor arguments, or the arguments of a function that are no tensors."""
    if isinstance(call, LayerCall):
        return config_text(call.module)[1:-1]
    parts = [value_text(value) for value in call.args if not any(refs_in(value))]
    parts += [f"{key}={value_text(value)}" for key, value in call.kwargs.items() if not any(refs_in(value))]
    return ", ".join(parts)
