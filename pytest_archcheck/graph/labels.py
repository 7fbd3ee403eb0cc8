"""What a call is, in a few words for a picture: ``Conv2d 3×3 /2, 64``."""

from __future__ import annotations

from collections.abc import Sequence

from pytest_archcheck.graph.weights import is_convolution, is_pooling
from pytest_archcheck.records import Call, LayerCall, TensorSpec, Value

_SIGNS = {"add": "+", "sub": "−", "mul": "×", "truediv": "÷", "cat": "concat", "matmul": "@"}
_LONGEST = 40


def describe(call: Call, kind: str) -> str:
    """A layer's class or a function, with the figures that matter."""
    if is_convolution(call):
        return _convolution(call, kind)
    if not isinstance(call, LayerCall):
        return _SIGNS.get(kind, kind)
    figures = _figures(call)
    return f"{kind} {figures}" if figures else kind


def shape_text(spec: TensorSpec) -> str:
    """``256×56×56``: a shape without the batch dimension."""
    shape = spec.shape[1:] if len(spec.shape) > 1 else spec.shape
    return "×".join(map(str, shape)) or "1"


def made_text(call: Call) -> str:
    """The shape of what a call returns, and how many there are more."""
    if not call.outputs:
        return ""
    more = len(call.outputs) - 1
    return shape_text(call.outputs[0]) + (f" and {more} more" if more else "")


def cut(text: str, longest: int = _LONGEST) -> str:
    """A name short enough for a box, without its middle."""
    return text if len(text) <= longest else f"{text[: longest // 2]}…{text[-(longest // 2) :]}"


def _convolution(call: Call, kind: str) -> str:
    if isinstance(call, LayerCall):
        kernel = _numbers(call.config.get("kernel_size"))
        stride = _numbers(call.config.get("stride"))
        groups = call.config.get("groups", 1)
        dilation = _numbers(call.config.get("dilation"))
    else:
        kernel = list(call.inputs[1].shape[2:]) if len(call.inputs) > 1 else []
        stride, dilation = _numbers(call.kwargs.get("stride")), _numbers(call.kwargs.get("dilation"))
        groups = call.kwargs.get("groups", 1)
    width = call.outputs[0].shape[1] if call.outputs and len(call.outputs[0].shape) > 1 else None
    words = [kind, "×".join(map(str, kernel)), _stride(stride)]
    if any(step > 1 for step in dilation):
        words.append(f"dilated {_same(dilation)}")
    if isinstance(groups, int) and groups > 1:
        words.append("depthwise" if groups == width else f"{groups} groups")
    text = " ".join(filter(None, words))
    return f"{text}, {width}" if width is not None else text


def _figures(call: LayerCall) -> str:
    config, layer = call.config, call.module.layer
    if is_pooling(call):
        size = _numbers(config.get("kernel_size", config.get("output_size")))
        shape = "×".join(map(str, size * 2 if len(size) == 1 and layer.endswith("2d") else size))
        stride = _stride(_numbers(config.get("stride")))
        return f"{'to ' if 'Adaptive' in layer and shape else ''}{shape} {stride}".strip()
    if layer in ("Linear", "NonDynamicallyQuantizableLinear"):
        return f"{config.get('in_features')} → {config.get('out_features')}"
    if layer == "MultiheadAttention":
        return f"{config.get('embed_dim')}, {config.get('num_heads')} heads"
    if layer in ("Embedding", "EmbeddingBag"):
        return f"{config.get('num_embeddings')} × {config.get('embedding_dim')}"
    if layer in ("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"):
        stacked = config.get("num_layers", 1)
        times = f", {stacked} layers" if stacked not in (1, None) else ""
        return f"{config.get('input_size')} → {config.get('hidden_size')}{times}"
    return ""


def _stride(stride: Sequence[int]) -> str:
    return f"/{_same(stride)}" if any(step > 1 for step in stride) else ""


def _same(numbers: Sequence[int]) -> str:
    """One number where all are the same."""
    return "×".join(map(str, numbers if len(set(numbers)) > 1 else numbers[:1]))


def _numbers(value: Value) -> list[int]:
    values = value if isinstance(value, tuple) else (value,)
    return [number for number in values if isinstance(number, int) and not isinstance(number, bool)]
