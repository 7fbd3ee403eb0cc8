"""How large a convolution's or a pooling's result is, as the formula of its documentation with the numbers put in.

Source: "Shape" in torch's documentation of ``Conv2d``, ``MaxPool2d`` and ``ConvTranspose2d``.
"""

from __future__ import annotations

from math import ceil, floor

from pytest_archcheck.graph.weights import is_convolution
from pytest_archcheck.graph.windows import setting, whole_numbers
from pytest_archcheck.records import Call, LayerCall

_POOLS = ("maxpool", "avgpool", "lppool")


def size_formula(call: Call) -> str:
    """``"112 = ⌊(224 + 2·3 − 7)/2⌋ + 1"``, one for each spatial axis where they differ; empty for any other call."""
    if not call.inputs or not call.outputs:
        return ""
    name = (call.module.layer if isinstance(call, LayerCall) else call.function).lower().replace("_", "")
    if is_convolution(call):
        texts = _transposed(call) if "transpose" in name else _convolution(call)
    elif name.startswith(_POOLS) and "unpool" not in name:
        texts = _pooling(call, name)
    elif name.startswith("adaptive") and "pool" in name:
        axes = int(name[-2])
        texts = [f"{new} = as asked for" for new in call.outputs[0].shape[-axes:]]
    else:
        return ""
    return ", ".join(dict.fromkeys(texts))


def _convolution(call: Call) -> list[str]:
    config = call.config if isinstance(call, LayerCall) else {}
    kernel = whole_numbers(config.get("kernel_size")) or call.inputs[1].shape[2:]
    padding = setting(call, "padding", 4)
    stride, dilation = _each(call, "stride", 3, len(kernel)), _each(call, "dilation", 5, len(kernel))
    if padding == "same":
        return [f"{new} = {new} (padded to stay)" for new in call.outputs[0].shape[-len(kernel) :]]
    pads = whole_numbers(padding, len(kernel)) or (0,) * len(kernel)
    return _slid(call, kernel, stride, pads, dilation, up=False)


def _pooling(call: Call, name: str) -> list[str]:
    is_lp = name.startswith("lppool")
    at = 2 if is_lp else 1  # the norm comes first
    axes = int(name[-2])
    kernel = whole_numbers(setting(call, "kernel_size", at), axes)
    stride = whole_numbers(setting(call, "stride", at + 1), axes) or kernel
    pads = () if is_lp else whole_numbers(setting(call, "padding", 3), axes)
    gaps = whole_numbers(setting(call, "dilation", 4), axes) if name.startswith("maxpool") else ()
    place = 4 if is_lp else 5 if name.startswith("maxpool") else 4
    up = setting(call, "ceil_mode", place) is True
    return _slid(call, kernel, stride, pads or (0,) * axes, gaps or (1,) * axes, up=up)


def _slid(
    call: Call,
    kernel: tuple[int, ...],
    stride: tuple[int, ...],
    pads: tuple[int, ...],
    dilation: tuple[int, ...],
    *,
    up: bool,
) -> list[str]:
    texts = []
    axes = len(kernel)
    before, after = call.inputs[0].shape[-axes:], call.outputs[0].shape[-axes:]
    for old, new, size, step, pad, gap in zip(before, after, kernel, stride, pads, dilation, strict=True):
        reach = f"{size}" if gap == 1 else f"{gap}·({size} − 1) − 1"
        inner = f"{old} + 2·{pad} − {reach}" if pad else f"{old} − {reach}"
        if step == 1:
            texts.append(f"{new} = {inner} + 1")
            continue
        left, right = "⌈⌉" if up else "⌊⌋"
        steps = (old + 2 * pad - gap * (size - 1) - 1) / step
        counted = (ceil(steps) if up else floor(steps)) + 1
        dropped = " − 1 (a last window that begins in the padding)" if counted == new + 1 else ""
        texts.append(f"{new} = {left}({inner})/{step}{right} + 1{dropped}")
    return texts


def _transposed(call: Call) -> list[str]:
    config = call.config if isinstance(call, LayerCall) else {}
    kernel = whole_numbers(config.get("kernel_size")) or call.inputs[1].shape[2:]
    axes = len(kernel)
    settings = zip(
        call.inputs[0].shape[-axes:],
        call.outputs[0].shape[-axes:],
        kernel,
        _each(call, "stride", 3, axes),
        whole_numbers(setting(call, "padding", 4), axes) or (0,) * axes,
        _each(call, "dilation", 7, axes),
        strict=True,
    )
    texts = []
    for old, new, size, step, pad, gap in settings:
        more = new - ((old - 1) * step - 2 * pad + gap * (size - 1) + 1)
        parts = [f"({old} − 1)·{step}", f" − 2·{pad}" if pad else "", f" + {gap}·({size} − 1)"]
        texts.append(f"{new} = {''.join(parts)}{f' + {more}' if more else ''} + 1")
    return texts


def _each(call: Call, name: str, position: int, axes: int) -> tuple[int, ...]:
    return whole_numbers(setting(call, name, position), axes) or (1,) * axes
