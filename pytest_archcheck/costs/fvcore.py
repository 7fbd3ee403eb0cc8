"""The counting convention of fvcore: MACs, and its flat rates for norms, pooling and interpolation.

The rates are those of ``fvcore.nn.flop_count`` 0.1.5; what fvcore calls flops are multiply-accumulates. Attention and
products that fvcore's tracer misses are in the number here: a convention says what is counted, not what was overlooked.
"""

from __future__ import annotations

from pytest_archcheck.costs.calls import counted_calls
from pytest_archcheck.costs.macs import MacCount
from pytest_archcheck.records import Call, LayerCall, Value
from pytest_archcheck.traces import Trace

_BATCH_NORMS = {"BatchNorm1d", "BatchNorm2d", "BatchNorm3d", "SyncBatchNorm"}
_INSTANCE_NORMS = {"InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d"}
_NORMS = {"LayerNorm", "GroupNorm", *_INSTANCE_NORMS}
_NORM_OPS = {
    # function: where its weight is
    "layer_norm": (2, "weight"),
    "group_norm": (2, "weight"),
    "instance_norm": (3, "weight"),
}
_PER_PIXEL = {"nearest": 1, "bilinear": 4}


def count_fvcore(trace: Trace) -> MacCount:
    """MACs; 2 per element of a batch norm, 5 of another norm; 1 of a pooled, 1 or 4 of an interpolated one."""
    per_call: dict[str, int] = {}
    macs = trace.mac_count
    for call in counted_calls(trace):
        cost = macs.per_call.get(call.id) or _added(call, trace.training)
        if cost:
            per_call[call.id] = cost
    return MacCount(trace, "fvcore", per_call, macs.uncounted)


def _added(call: Call, training: bool) -> int:
    if not call.inputs or not call.outputs:
        return 0
    if isinstance(call, LayerCall):
        return _of_layer(call, training)
    taken, made = call.inputs[0].numel, call.output.numel
    if call.function == "batch_norm":
        weight, uses_batch = _argument(call, 3, "weight"), _argument(call, 5, "training") is True
        return taken * _batch_norm(weight is not None, uses_batch)
    if call.function in _NORM_OPS:
        return taken * (4 if _argument(call, *_NORM_OPS[call.function]) is None else 5)
    if call.function == "adaptive_avg_pool2d":
        return taken
    if call.function == "grid_sample":
        return 4 * made
    if call.function == "interpolate" and len(call.output.shape) == 4:
        mode = _argument(call, 3, "mode")
        return made * _PER_PIXEL.get("nearest" if mode is None else str(mode), 0)
    return 0


def _of_layer(call: LayerCall, training: bool) -> int:
    taken, made = call.inputs[0].numel, call.output.numel
    kind = call.module.layer
    if kind in _BATCH_NORMS:
        uses_batch = call.config.get("training", training) is True
        uses_batch |= call.config.get("track_running_stats") is False
        return taken * _batch_norm(call.config.get("affine") is not False, uses_batch)
    if kind in _NORMS:
        switch = "elementwise_affine" if kind == "LayerNorm" else "affine"
        return taken * (5 if call.config.get(switch, kind not in _INSTANCE_NORMS) else 4)
    if kind == "AdaptiveAvgPool2d":
        return taken
    if kind in ("Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d") and len(call.output.shape) == 4:
        return made * _PER_PIXEL.get(str(call.config.get("mode", "nearest")), 0)
    return 0


def _batch_norm(affine: bool, uses_batch: bool) -> int:
    if uses_batch:
        return 5 if affine else 4
    return 2 if affine else 1


def _argument(call: Call, position: int, name: str) -> Value:
    return call.args[position] if len(call.args) > position else call.kwargs.get(name)
