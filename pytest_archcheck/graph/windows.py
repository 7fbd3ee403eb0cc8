"""The sliding windows of convolutions, pooling and interpolation: reach and stride for each spatial axis."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from pytest_archcheck.graph.weights import is_convolution
from pytest_archcheck.records import Call, LayerCall, Value


@dataclass(frozen=True, slots=True)
class Window:
    """One axis of a window, in positions of its operand.

    ``reach`` is the distance from its first to its last position; ``stride`` how far two neighbours of the result are
    apart, less than 1 where it is enlarged; ``whole`` is whether it covers the whole axis, wherever it stands.
    """

    reach: Fraction
    stride: Fraction
    whole: bool = False


def windows_of(call: Call) -> tuple[Window, ...] | None:
    """A window for each spatial axis, the last ones of the operand; ``None`` for any other call."""
    if not call.inputs or not call.outputs:
        return None
    name = call.module.layer if isinstance(call, LayerCall) else call.function
    lower = name.lower()
    if is_convolution(call):
        return _convolution(call, "transpose" in lower)
    if "adaptive" in lower and "pool" in lower:
        return _adaptive(call, int(lower.rstrip("_")[-2]))
    if "pool" in lower and lower[-1] == "d" and lower[-2].isdigit():
        return _pool(call, int(lower[-2]))
    if name in ("interpolate", "Upsample", "UpsamplingNearest2d", "UpsamplingBilinear2d"):
        return _interpolation(call, name)
    if name in ("pixel_shuffle", "PixelShuffle", "pixel_unshuffle", "PixelUnshuffle"):
        ratios = [Fraction(old, new) for old, new in _sizes(call, 2)]
        return tuple(Window(max(ratio - 1, Fraction(0)), ratio) for ratio in ratios)
    return None


def strides_of(call: Call) -> tuple[Fraction, ...]:
    """How far neighbours of the result are apart, for each spatial axis; empty for a call without a window."""
    return tuple(window.stride for window in windows_of(call) or ())


def _convolution(call: Call, transposed: bool) -> tuple[Window, ...]:
    config = call.config if isinstance(call, LayerCall) else {}
    kernel = _tuple(config.get("kernel_size")) or call.inputs[1].shape[2:]
    axes = len(kernel)
    stride = _tuple(_setting(call, "stride", 3)) or (1,) * axes
    dilation = _tuple(_setting(call, "dilation", 7 if transposed else 5)) or (1,) * axes
    windows = []
    for size, step, gap in zip(kernel, stride, dilation, strict=True):
        reach = (size - 1) * gap
        if transposed:  # positions of the operand that meet one position of the result
            windows.append(Window(Fraction(reach // step), Fraction(1, step)))
        else:
            windows.append(Window(Fraction(reach), Fraction(step)))
    return tuple(windows)


def _pool(call: Call, axes: int) -> tuple[Window, ...]:
    kernel = _tuple(_setting(call, "kernel_size", 1), axes)
    stride = _tuple(_setting(call, "stride", 2), axes) or kernel
    is_max = "max" in (call.type if isinstance(call, LayerCall) else call.function).lower()
    dilation = (_tuple(_setting(call, "dilation", 4), axes) if is_max else ()) or (1,) * axes
    return tuple(
        Window(Fraction((size - 1) * gap), Fraction(step))
        for size, step, gap in zip(kernel, stride, dilation, strict=True)
    )


def _adaptive(call: Call, axes: int) -> tuple[Window, ...]:
    """As pooling with a fixed window, which it is where the sizes divide."""
    windows = []
    for old, new in _sizes(call, axes):
        step = max(old // new, 1)
        windows.append(
            Window(Fraction(max(old - (new - 1) * step, 1) - 1), Fraction(step), new == 1 and old > 1)
        )
    return tuple(windows)


_TAPS = {"linear": 2, "bilinear": 2, "trilinear": 2, "bicubic": 4}


def _interpolation(call: Call, name: str) -> tuple[Window, ...]:
    mode = "bilinear" if "Bilinear" in name else _setting(call, "mode", 3)
    taps = _TAPS.get(mode, 1) if isinstance(mode, str) else 1
    sizes = _sizes(call, len(call.inputs[0].shape) - 2)
    return tuple(Window(Fraction(taps - 1 if old != new else 0), Fraction(old, new)) for old, new in sizes)


def _sizes(call: Call, axes: int) -> list[tuple[int, int]]:
    """The extents of the spatial axes before and after."""
    return list(zip(call.inputs[0].shape[-axes:], call.outputs[0].shape[-axes:], strict=True))


def _setting(call: Call, name: str, position: int) -> Value:
    if isinstance(call, LayerCall):
        return call.config.get(name)
    if name in call.kwargs:
        return call.kwargs[name]
    return call.args[position] if position < len(call.args) else None


def _tuple(value: Value, axes: int = 0) -> tuple[int, ...]:
    if type(value) is int:
        return (value,) * axes
    return tuple(item for item in value if isinstance(item, int)) if isinstance(value, tuple) else ()
