"""A trace as data for other programs."""

from __future__ import annotations

from typing import Any

from pytest_archcheck.records import Call, LayerCall, TensorSpec
from pytest_archcheck.traces import Trace


def as_data(trace: Trace) -> dict[str, Any]:
    """Totals and calls; ``macs`` of a call is null where they are not known or lie in what it calls."""
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


def _type(call: Call) -> str:
    return call.type if isinstance(call, LayerCall) else call.function


def _own(call: Call) -> int:
    """The module's own parameters, at its first call."""
    return call.params.total if isinstance(call, LayerCall) and call.number == 1 else 0


def _macs(call: Call) -> int | None:
    return None if isinstance(call, LayerCall) and not call.atomic else call.macs


def _spec(spec: TensorSpec) -> dict[str, Any]:
    return {"path": spec.path, "shape": list(spec.shape), "dtype": spec.dtype}
