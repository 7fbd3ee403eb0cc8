"""The sliding windows of convolutions, pooling and interpolation, for each spatial axis."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from pytest_archcheck.graph.weights import is_convolution
from pytest_archcheck.records import Call, LayerCall, Value


@dataclass(frozen=True, slots=True)
class Window:
    """One axis of a window, in positions of its operand.

    Position 0 of the result sees the positions ``first`` to ``first + reach``; neighbours of the result are ``stride``
    apart, less than 1 where it is enlarged; ``whole`` is whether the window covers the whole axis, wherever it stands.
    """

    first: Fraction
    reach: Fraction
    stride: Fraction
    whole: bool = False


def windows_of(call: Call) -> tuple[Window, ...] | None:
    """A window for each spatial axis, the last ones of the operand; ``None`` for any other call."""
    if not call.inputs or not call.outputs:
        return None
    name = call.module.layer if isinstance(call, LayerCall) else call.function
    lower = name.lower().replace("_", "")
    if is_convolution(call):
        return _convolution(call, "transpose" in lower)
    axes = int(lower[-2]) if lower[-1] == "d" and lower[-2].isdigit() else len(call.inputs[0].shape) - 2
    if is_unpooling(call):
        return _scaled(call, axes, 1)
    if lower == "pixelshuffle":
        return _scaled(call, 2, 1)
    if lower == "pixelunshuffle":
        return _scaled(call, 2, 0)
    if "adaptive" in lower and "pool" in lower:
        return _adaptive(call, axes)
    if lower.startswith(("maxpool", "avgpool", "lppool")):
        return _pool(call, axes, lower)
    if lower in ("interpolate", "upsample", "upsamplingnearest2d", "upsamplingbilinear2d"):
        return _interpolation(call, axes, lower)
    return None


def is_unpooling(call: Call) -> bool:
    """Whether a call puts what was pooled back to where it came from."""
    return "unpool" in (call.module.layer if isinstance(call, LayerCall) else call.function).lower()


def strides_of(call: Call) -> tuple[Fraction, ...]:
    """How far neighbours of the result are apart, for each spatial axis; empty for a call without a window."""
    return tuple(window.stride for window in windows_of(call) or ())


def _convolution(call: Call, transposed: bool) -> tuple[Window, ...]:
    config = call.config if isinstance(call, LayerCall) else {}
    kernel = whole_numbers(config.get("kernel_size")) or call.inputs[1].shape[2:]
    axes = len(kernel)
    stride = whole_numbers(setting(call, "stride", 3)) or (1,) * axes
    dilation = whole_numbers(setting(call, "dilation", 7 if transposed else 5)) or (1,) * axes
    padding = setting(call, "padding", 4)
    pads = whole_numbers(padding) or (0,) * axes
    windows = []
    for size, step, gap, pad in zip(kernel, stride, dilation, pads, strict=True):
        reach = (size - 1) * gap
        if transposed:  # positions of the operand that meet position 0 of the result
            first = math.ceil(Fraction(pad - reach, step))
            windows.append(Window(Fraction(first), Fraction(reach // step), Fraction(1, step)))
        else:
            before = reach // 2 if padding == "same" else pad
            windows.append(Window(Fraction(-before), Fraction(reach), Fraction(step)))
    return tuple(windows)


def _pool(call: Call, axes: int, name: str) -> tuple[Window, ...]:
    at = 2 if name.startswith("lppool") else 1  # the norm comes first
    kernel = whole_numbers(setting(call, "kernel_size", at), axes)
    stride = whole_numbers(setting(call, "stride", at + 1), axes) or kernel
    pads = () if name.startswith("lppool") else whole_numbers(setting(call, "padding", 3), axes)
    gaps = whole_numbers(setting(call, "dilation", 4), axes) if name.startswith("maxpool") else ()
    return tuple(
        Window(Fraction(-pad), Fraction((size - 1) * gap), Fraction(step))
        for size, step, pad, gap in zip(kernel, stride, pads or (0,) * axes, gaps or (1,) * axes, strict=True)
    )


def _adaptive(call: Call, axes: int) -> tuple[Window, ...]:
    """As pooling with a fixed window, which it is where the sizes divide."""
    windows = []
    for old, new in _sizes(call, axes):
        step = max(old // new, 1)
        reach = max(old - (new - 1) * step, 1) - 1
        windows.append(Window(Fraction(0), Fraction(reach), Fraction(step), new == 1 and old > 1))
    return tuple(windows)


def _scaled(call: Call, axes: int, taps: int) -> tuple[Window, ...]:
    """Without neighbours: ``taps`` positions of the operand, or as many as the stride says for 0."""
    ratios = [Fraction(old, new) for old, new in _sizes(call, axes)]
    return tuple(Window(Fraction(0), (Fraction(taps) or ratio) - 1, ratio) for ratio in ratios)


_TAPS = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}


def _interpolation(call: Call, axes: int, name: str) -> tuple[Window, ...]:
    mode = "bilinear" if "bilinear" in name else setting(call, "mode", 3)
    if mode == "area":
        return _adaptive(call, axes)
    taps = _TAPS.get(mode, 1) if isinstance(mode, str) else 1
    smooth = setting(call, "antialias", 6) is True
    windows = []
    for old, new in _sizes(call, axes):
        ratio = Fraction(old, new)
        seen = 1 if old == new else math.ceil(taps * ratio) if smooth and ratio > 1 else taps
        windows.append(Window(Fraction(-((seen - 1) // 2)), Fraction(seen - 1), ratio))
    return tuple(windows)


def _sizes(call: Call, axes: int) -> list[tuple[int, int]]:
    """The extents of the spatial axes before and after."""
    return list(zip(call.inputs[0].shape[-axes:], call.outputs[0].shape[-axes:], strict=True))


def setting(call: Call, name: str, position: int) -> Value:
    """A setting of a layer by its name, of a function also by its place among the arguments; ``None`` for none."""
    if isinstance(call, LayerCall):
        return call.config.get(name)
    if name in call.kwargs:
        return call.kwargs[name]
    return call.args[position] if position < len(call.args) else None


def whole_numbers(value: Value, axes: int = 0) -> tuple[int, ...]:
    """A setting for each of ``axes`` axes; empty for what is no whole number."""
    if type(value) is int:
        return (value,) * axes
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, tuple) else ()
