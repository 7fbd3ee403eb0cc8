"""The layers of a trace as a table, as data and as Markdown."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from pytest_archcheck.drift.writer import spec_text
from pytest_archcheck.records import Call, LayerCall, TensorSpec
from pytest_archcheck.reports.markdown import table
from pytest_archcheck.traces import Trace

_COLUMNS = ("layer", "type", "output", "parameters", "MACs")


def print_table(trace: Trace) -> None:
    """Print every call with its output, parameters and MACs, and the totals."""
    from rich.console import Console
    from rich.table import Table

    # piped, a row is a line, however long
    console = Console(width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False)
    rows = Table(box=None, pad_edge=False, header_style="bold")
    for name in _COLUMNS:
        rows.add_column(name, justify="right" if name in _COLUMNS[3:] else "left", overflow="fold")
    for row in _rows(trace):
        rows.add_row(*row)
    console.print(f"{trace.model.type}, {_how(trace)}")
    console.print(rows)
    for line in _totals(trace):
        console.print(line)


def markdown(trace: Trace) -> str:
    """The same as Markdown."""
    heading = f"### {trace.model.type}\n\n{_how(trace)}"
    totals = "\n".join(f"- {line}" for line in _totals(trace))
    return f"{heading}\n\n{table(_COLUMNS, _rows(trace), right=(3, 4))}\n\n{totals}"


def as_data(trace: Trace) -> dict[str, Any]:
    """The same for programs; ``macs`` of a call is null where they are not known or lie in what it calls."""
    return {
        "model": trace.model.type,
        "mode": "train" if trace.training else "eval",
        "placement": trace.placement or None,
        "notes": list(trace.notes),
        "inputs": [_spec(spec) for spec in trace.inputs],
        "outputs": [_spec(spec) for spec in trace.outputs],
        "parameters": trace.params.total,
        "trainable": trace.params.trainable,
        "buffers": trace.params.buffers,
        "macs": trace.macs,
        "status": trace.status,
        "depth": {"paper": trace.depth("paper")},
        "stages": list(trace.stages),
        "calls": [
            {
                "name": call.id,
                "kind": "layer" if isinstance(call, LayerCall) else "op",
                "type": _type(call),
                "atomic": not isinstance(call, LayerCall) or call.atomic,
                "outputs": [_spec(spec) for spec in call.outputs],
                "parameters": _own(call),
                "macs": _macs(call),
            }
            for call in trace
        ],
    }


def _rows(trace: Trace) -> Iterator[tuple[str, ...]]:
    for call in trace:
        own, macs = _own(call), _macs(call)
        unknown = "" if isinstance(call, LayerCall) and not call.atomic else "not counted"
        yield (
            call.id,
            _type(call).rpartition(".")[2],
            " ".join(map(spec_text, call.outputs)),
            f"{own:,}" if own else "",
            unknown if macs is None else f"{macs:,}" if macs else "",
        )


def _how(trace: Trace) -> str:
    inputs = ", ".join(f"{spec.path} {spec_text(spec)}" for spec in trace.inputs)
    placement = f", recorded on {trace.placement}" if trace.placement else ""
    return f"{'train' if trace.training else 'eval'}, {inputs or 'no inputs'}{placement}"


def _totals(trace: Trace) -> Iterator[str]:
    params = trace.params
    yield f"parameters {params.total:,} (trainable {params.trainable:,}) · buffers {params.buffers:,}"
    yield f"MACs {trace.macs:,} ({trace.status}) · depth (paper) {trace.depth('paper')}"
    yield f"output {' '.join(map(spec_text, trace.outputs))}"


def _type(call: Call) -> str:
    return call.type if isinstance(call, LayerCall) else call.function


def _own(call: Call) -> int:
    """The module's own parameters, at its first call."""
    return call.params.total if isinstance(call, LayerCall) and call.number == 1 else 0


def _macs(call: Call) -> int | None:
    return None if isinstance(call, LayerCall) and not call.atomic else call.macs


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"path": spec.path, "shape": list(spec.shape), "dtype": spec.dtype}
