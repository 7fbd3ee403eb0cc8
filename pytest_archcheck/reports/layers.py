"""A trace as data for other programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from pytest_archcheck.graph.outline import outline
from pytest_archcheck.records import Call, LayerCall, TensorSpec
from pytest_archcheck.traces import Trace


def as_data(trace: Trace) -> dict[str, Any]:
    """Totals, calls, and the modules whose parameters nothing used.

    ``macs`` of a call is null where they are not known or lie in what it calls.
    """
    return {
        **totals(trace),
        "placement": trace.placement or None,
        "notes": list(trace.notes),
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
        "unused": [asdict(module) for module in outline(trace).unused],
    }


def totals(trace: Trace) -> dict[str, Any]:
    """What a whole model is and costs; where ``status`` is not ``"complete"``, ``macs`` is what could be counted."""
    return {
        "model": trace.model.type,
        "mode": "train" if trace.training else "eval",
        "inputs": [_spec(spec) for spec in trace.inputs],
        "outputs": [_spec(spec) for spec in trace.outputs],
        "parameters": trace.params.total,
        "trainable": trace.params.trainable,
        "buffers": trace.params.buffers,
        "bytes": trace.size,
        "macs": trace.macs,
        "flops": trace.flops,
        "status": trace.status,
        "depth": {"paper": trace.depth("paper")},
        "stages": list(trace.stages),
    }


def _type(call: Call) -> str:
    return call.type if isinstance(call, LayerCall) else call.function


def _own(call: Call) -> int:
    """The module's own parameters, at its first call."""
    return call.params.total if isinstance(call, LayerCall) and call.number == 1 else 0


def _macs(call: Call) -> int | None:
    return None if isinstance(call, LayerCall) and not call.atomic else call.macs


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"path": spec.path, "shape": list(spec.shape), "dtype": spec.dtype}
