"""One name and one spelling of the arguments for each of torch's public functions.

``x + y``, ``x += y``, ``torch.add(x, y)`` and ``x.add_(y)`` are one function, ``add``; ``torch.flatten(x, 1)`` and
``x.flatten(start_dim=1)`` are one call. The signature table is frozen with the ``.arch`` format: it is
not read from the installed torch, so a new torch does not change the text of an old model.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import torch

from pytest_archcheck.recording.forms import index, window

_ALIASES = {
    "truediv": "div",
    "true_divide": "div",
    "divide": "div",
    "multiply": "mul",
    "subtract": "sub",
    "negative": "neg",
    "absolute": "abs",
    "concat": "cat",
    "concatenate": "cat",
    "clip": "clamp",
    "swapaxes": "transpose",
    "swapdims": "transpose",
    "moveaxis": "movedim",
    "data": "detach",
    "max_pool1d_with_indices": "max_pool1d",
    "max_pool2d_with_indices": "max_pool2d",
    "max_pool3d_with_indices": "max_pool3d",
    "special_expit": "sigmoid",
    "special_softmax": "softmax",
    "dsmm": "mm",  # one function of C under two names, which compare equal
    "spmm": "mm",
    "hsmm": "hspmm",
    "saddmm": "sspaddmm",
    "cuda": "to",
    "cpu": "to",
}

_REFLECTED = {"radd", "rsub", "rmul", "rdiv", "rtruediv", "rpow", "rmatmul", "rfloordiv", "rmod"}
_IN_PLACE = {
    "iadd",
    "isub",
    "imul",
    "idiv",
    "itruediv",
    "ifloordiv",
    "ipow",
    "imod",
    "imatmul",
    "iand",
    "ior",
    "ixor",
}

# Placement and memory are not architecture, and arguments that start with "_" are torch's own.
_DROPPED = {
    "device",
    "layout",
    "pin_memory",
    "requires_grad",
    "generator",
    "out",
    "non_blocking",
    "memory_format",
    "copy",
    "inplace",
}

_CALIBRATED = {"scale", "zero_point", "output_scale", "output_zero_point"}
"""What calibration gives a quantized function: values, as weights are."""

# Parameter names (a star takes the rest) and the defaults that are left out.
_SIGNATURES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "flatten": (("input", "start_dim", "end_dim"), {"start_dim": 0, "end_dim": -1}),
    "cat": (("tensors", "dim"), {"dim": 0}),
    "stack": (("tensors", "dim"), {"dim": 0}),
    "add": (("input", "other", "alpha"), {"alpha": 1}),
    "sub": (("input", "other", "alpha"), {"alpha": 1}),
    "mul": (("input", "other"), {}),
    "div": (("input", "other", "rounding_mode"), {"rounding_mode": None}),
    "matmul": (("input", "other"), {}),
    "mm": (("input", "mat2"), {}),
    "bmm": (("input", "mat2"), {}),
    "mv": (("input", "vec"), {}),
    "addmm": (("input", "mat1", "mat2", "beta", "alpha"), {"beta": 1, "alpha": 1}),
    "addmv": (("input", "mat", "vec", "beta", "alpha"), {"beta": 1, "alpha": 1}),
    "baddbmm": (("input", "batch1", "batch2", "beta", "alpha"), {"beta": 1, "alpha": 1}),
    "addbmm": (("input", "batch1", "batch2", "beta", "alpha"), {"beta": 1, "alpha": 1}),
    "mean": (("input", "dim", "keepdim", "dtype"), {"dim": None, "keepdim": False, "dtype": None}),
    "sum": (("input", "dim", "keepdim", "dtype"), {"dim": None, "keepdim": False, "dtype": None}),
    "softmax": (("input", "dim", "dtype"), {"dtype": None}),
    "log_softmax": (("input", "dim", "dtype"), {"dtype": None}),
    "gelu": (("input", "approximate"), {"approximate": "none"}),
    "transpose": (("input", "dim0", "dim1"), {}),
    "squeeze": (("input", "dim"), {"dim": None}),
    "unsqueeze": (("input", "dim"), {}),
    "chunk": (("input", "chunks", "dim"), {"dim": 0}),
    "split": (("input", "split_size", "dim"), {"dim": 0}),
    "unbind": (("input", "dim"), {"dim": 0}),
    "roll": (("input", "shifts", "dims"), {"dims": None}),
    "permute": (("input", "*dims"), {}),
    "view": (("input", "*shape"), {}),
    "reshape": (("input", "*shape"), {}),
    "expand": (("input", "*size"), {}),
    "repeat": (("input", "*repeats"), {}),
    "flip": (("input", "*dims"), {}),
    "clamp": (("input", "min", "max"), {"min": None, "max": None}),
    "pixel_shuffle": (("input", "upscale_factor"), {}),
    "channel_shuffle": (("input", "groups"), {}),
    "scaled_dot_product_attention": (
        ("query", "key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"),
        {
            "attn_mask": None,
            "dropout_p": 0.0,
            "is_causal": False,
            "scale": None,
            "enable_gqa": False,
        },
    ),
    "linear": (("input", "weight", "bias"), {"bias": None}),
    "bilinear": (("input1", "input2", "weight", "bias"), {"bias": None}),
    "linalg_matmul": (("input", "other"), {}),
    "linalg_vecdot": (("x", "y", "dim"), {"dim": -1}),
    "inner": (("input", "other"), {}),
    "dot": (("input", "tensor"), {}),
    "vdot": (("input", "other"), {}),
    "tensordot": (("a", "b", "dims"), {"dims": 2}),
    "conv_tbc": (("input", "weight", "bias", "pad"), {"pad": 0}),
    "convolution": (
        (
            "input",
            "weight",
            "bias",
            "stride",
            "padding",
            "dilation",
            "transposed",
            "output_padding",
            "groups",
        ),
        {},
    ),
    **{
        f"conv{n}d": (
            ("input", "weight", "bias", "stride", "padding", "dilation", "groups"),
            {"bias": None, "stride": (1,) * n, "padding": (0,) * n, "dilation": (1,) * n, "groups": 1},
        )
        for n in (1, 2, 3)
    },
    **{
        f"conv_transpose{n}d": (
            ("input", "weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
            {
                "bias": None,
                "stride": (1,) * n,
                "padding": (0,) * n,
                "output_padding": (0,) * n,
                "groups": 1,
                "dilation": (1,) * n,
            },
        )
        for n in (1, 2, 3)
    },
}

_WINDOW_ARGUMENTS = {"kernel_size", "stride", "padding", "dilation", "output_padding", "output_size"}
_DIMENSIONS = re.compile(r"([123])d$")


def canonical_name(func: Callable[..., Any]) -> tuple[str, bool]:
    """The function's one name, and whether its first two arguments are to be exchanged.

    torch's own functions have bare names; any other keeps its package: ``torchvision.roi_align``.
    """
    try:
        return _canonical_name(func)
    except TypeError:  # unhashable
        return _canonical_name.__wrapped__(func)


@lru_cache(maxsize=4096)
def _canonical_name(func: Callable[..., Any]) -> tuple[str, bool]:
    name: str = getattr(func, "__name__", type(func).__name__)
    if name == "__get__":
        name = getattr(getattr(func, "__self__", None), "__name__", name)
    name = name.partition(".")[0]  # without the overload that an exported program names
    base = name.strip("_")
    if name.startswith("__"):
        if base in _REFLECTED:
            return _ALIASES.get(base[1:], base[1:]), True
        if base in _IN_PLACE:
            base = base[1:]
    if func is torch.autograd.grad:  # not the attribute
        base = "autograd_grad"
    base = _ALIASES.get(base, base)
    package = _foreign_package(func)
    return (f"{package}.{base}" if package else base), False


def _foreign_package(func: Callable[..., Any]) -> str:
    module = getattr(func, "__module__", None) or "torch"
    if module.startswith("torch._ops."):
        namespace = module.removeprefix("torch._ops.")
        return "" if namespace in ("aten", "prims") else namespace
    return "" if module.partition(".")[0] == "torch" else module.partition(".")[0]


def canonical_arguments(
    name: str, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """The same arguments in one spelling: known names, no defaults, one form of a window size."""
    if any(key in _DROPPED or key.startswith("_") for key in kwargs):
        kwargs = {k: v for k, v in kwargs.items() if k not in _DROPPED and not k.startswith("_")}
    if name.startswith("quantized."):  # a scale and a zero point are values
        args = tuple(a for a in args if isinstance(a, torch.Tensor | list | tuple))
        kwargs = {k: v for k, v in kwargs.items() if k not in _CALIBRATED}
    if name == "getitem" and isinstance(args[0], torch.Tensor):
        args = (args[0], index(args[1], args[0].dim()))
    if name == "to":
        args = args[:1] + tuple(a for a in args[1:] if isinstance(a, torch.dtype | torch.Tensor))
    signature = _SIGNATURES.get(name)
    if signature is not None:
        args, kwargs = _bind(signature, args, kwargs)
    dimensions = _DIMENSIONS.search(name)
    if dimensions:
        n = int(dimensions[1])
        args = args[:1] + tuple(window(a, n) for a in args[1:])
        kwargs = {k: window(v, n) if k in _WINDOW_ARGUMENTS else v for k, v in kwargs.items()}
        if signature is not None:
            kwargs = {k: v for k, v in kwargs.items() if v != signature[1].get(k, ...)}
    return args, kwargs


def _bind(
    signature: tuple[tuple[str, ...], dict[str, Any]], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Tensor operands stay positional; everything after them goes by name, defaults left out."""
    names, defaults = signature
    bound: dict[str, Any] = {}
    for position, name in enumerate(names):
        key = name.lstrip("*")
        if name.startswith("*"):
            rest = args[position:]
            if rest:
                is_one = len(rest) == 1 and isinstance(rest[0], tuple | list)
                bound[key] = tuple(rest[0]) if is_one else rest
        elif position < len(args):
            bound[key] = args[position]
        if key in kwargs:
            bound[key] = kwargs[key]
    extra = {k: v for k, v in kwargs.items() if k not in bound}
    operands: list[Any] = []
    named: dict[str, Any] = {}
    for key, value in bound.items():
        is_operand = not named and len(operands) < _OPERANDS.get(names, 1)
        if is_operand:
            operands.append(value)
        elif not (key in defaults and _same(value, defaults[key])):
            named[key] = value
    return tuple(operands), {**named, **extra}


def _same(value: Any, default: Any) -> bool:
    return type(value) is type(default) and bool(value == default)


_TENSORS = frozenset(
    "input other tensors query key value weight mat mat1 mat2 batch1 batch2 vec input1 input2 x y a b tensor".split()
)
_OPERANDS = {names: sum(n in _TENSORS for n in names) for names, _ in _SIGNATURES.values()}
