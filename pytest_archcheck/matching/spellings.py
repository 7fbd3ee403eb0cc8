"""One spelling for the modules of ``torch.nn`` and the functions that do the same: ``nn.ReLU()`` and ``F.relu(x)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_archcheck.records import Call, LayerCall, Ref, Symbol, Value, refs_in


@dataclass(frozen=True, slots=True)
class _Spelling:
    """``order`` names the function's arguments after the first tensor; ``defaults`` are left out of the spelling."""

    order: tuple[str, ...] = ()
    defaults: Mapping[str, Value] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Spelled:
    """A call in one spelling: the function, its settings as text, and its tensors by role.

    The first tensor has the role ``input``; those without a known role are numbered.
    """

    function: str
    settings: dict[str, str]
    tensors: tuple[tuple[str, Ref], ...]


def spelled(call: Call) -> Spelled:
    """The one spelling of an atomic layer call or an op."""
    if isinstance(call, LayerCall):
        function = _FUNCTIONS.get(call.type, call.type)
        named: dict[str, Value] = {**call.config}
        named = {
            key: value
            for key, value in named.items()
            if key not in _OF_THE_STATE.get(function, _SPELLED_ONCE)
        }
        data = list(refs_in((call.args, call.kwargs)))
        prefix = "" if call.name == "." else f"{call.name}."
        own = [(t.name.removeprefix(prefix), Ref(f"{t.kind}:{t.name}")) for t in call.state]
        roles = ["input", *(str(number) for number in range(1, len(data)))]
        tensors = [*zip(roles, data, strict=False), *_ordered(own, function)]
        extra = {key: value for key, value in call.kwargs.items() if not any(True for _ in refs_in(value))}
        return Spelled(*_settled(function, {**named, **extra}, call), tuple(tensors))
    spelling = _SPELLINGS.get(call.function)
    if spelling is None or not call.args or not isinstance(call.args[0], Ref):
        return _as_written(call.function, call)
    names = ("input", *spelling.order)
    arguments = {**dict(zip(names, call.args, strict=False)), **call.kwargs}
    if len(call.args) > len(names):
        return _as_written(call.function, call)
    tensors = [(name, value) for name, value in arguments.items() if isinstance(value, Ref)]
    rest = {name: value for name, value in arguments.items() if not isinstance(value, Ref)}
    function, settings = _settled(call.function, rest, call)
    return Spelled(function, settings, (tensors[0], *_ordered(tensors[1:], call.function)))


def default_of(function: str, setting: str) -> str:
    """The default of a function's setting as text; ``absent`` where it has none."""
    defaults = _SPELLINGS[function].defaults if function in _SPELLINGS else {}
    return shown(defaults[setting]) if setting in defaults else "absent"


def shown(value: Value) -> str:
    """A setting as text; tensors are numbered by the caller and shown as ``%``."""
    if isinstance(value, Ref):
        return "%"
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, tuple):
        inner = ", ".join(map(shown, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _as_written(function: str, call: Call) -> Spelled:
    """A function without a spelling of its own: its arguments in order, tensors as ``%``."""
    refs = list(refs_in((call.args, call.kwargs)))
    settings = {f"argument {place}": shown(_axis(value, call)) for place, value in enumerate(call.args, 1)}
    settings = {key: text for key, text in settings.items() if text != "%"}
    for key, value in call.kwargs.items():
        settings[key] = shown(_axis(value, call) if key in _AXES else value)
    return Spelled(
        function, settings, tuple((str(place) if place else "input", ref) for place, ref in enumerate(refs))
    )


def _settled(function: str, named: Mapping[str, Value], call: Call) -> tuple[str, dict[str, str]]:
    """Settings without defaults, and the two spellings of a global mean as one."""
    rank = len(call.inputs[0].shape) if call.inputs else 0
    sizes = named.get("output_size")
    if function.startswith("adaptive_avg_pool") and isinstance(sizes, tuple) and set(sizes) == {1}:
        return "mean", {"dim": shown(tuple(range(rank - len(sizes), rank)))}
    if function == "mean":
        dims = named.get("dim")
        dims = dims if isinstance(dims, tuple) else (dims,)
        axes = sorted(dim % rank for dim in dims if type(dim) is int) or range(rank)
        return "mean", {"dim": shown(tuple(axes))}
    defaults = _SPELLINGS[function].defaults if function in _SPELLINGS else {}
    if "pool" in function and named.get("stride") in (None, ()):
        named = {**named, "stride": named.get("kernel_size")}
    if function == "scaled_dot_product_attention" and named.get("scale") is not None:
        usual = float(call.inputs[0].shape[-1]) ** -0.5
        named = {key: value for key, value in named.items() if key != "scale" or value != usual}
    settings = {
        key: shown(_axis(value, call) if key in _AXES else value)
        for key, value in named.items()
        if not (key in defaults and shown(value) == shown(defaults[key]))
    }
    return function, settings


def _axis(value: Value, call: Call) -> Value:
    """A negative dimension counted from the front."""
    rank = len(call.inputs[0].shape) if call.inputs else 0
    return value + rank if type(value) is int and -rank <= value < 0 else value


def _ordered(tensors: list[tuple[str, Ref]], function: str) -> list[tuple[str, Ref]]:
    order = _SPELLINGS[function].order if function in _SPELLINGS else ()
    place = {name: number for number, name in enumerate(order)}
    return sorted(tensors, key=lambda pair: (place.get(pair[0], len(place)), pair[0]))


_AXES = {"dim", "dim0", "dim1", "start_dim", "end_dim"}
_SPELLED_ONCE = frozenset({"inplace"})

_WINDOWED: dict[str, _Spelling] = {}
for _n in (1, 2, 3):
    _one, _zero = (1,) * _n, (0,) * _n
    _conv: dict[str, Value] = {
        "stride": _one,
        "padding": _zero,
        "dilation": _one,
        "groups": 1,
        "padding_mode": "zeros",
    }
    _WINDOWED[f"conv{_n}d"] = _Spelling(("weight", "bias", "stride", "padding", "dilation", "groups"), _conv)
    _WINDOWED[f"conv_transpose{_n}d"] = _Spelling(
        ("weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
        {**_conv, "output_padding": _zero},
    )
    _WINDOWED[f"max_pool{_n}d"] = _Spelling(
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
        {"padding": _zero, "dilation": _one, "ceil_mode": False, "return_indices": False},
    )
    _WINDOWED[f"avg_pool{_n}d"] = _Spelling(
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
        {"padding": _zero, "ceil_mode": False, "count_include_pad": True, "divisor_override": None},
    )
    _WINDOWED[f"adaptive_avg_pool{_n}d"] = _Spelling(("output_size",))
    _WINDOWED[f"adaptive_max_pool{_n}d"] = _Spelling(
        ("output_size", "return_indices"), {"return_indices": False}
    )

_SPELLINGS: dict[str, _Spelling] = {
    **_WINDOWED,
    **dict.fromkeys(
        ("relu", "relu6", "sigmoid", "tanh", "silu", "mish", "hardswish", "hardsigmoid"), _Spelling()
    ),
    "linear": _Spelling(("weight", "bias")),
    "prelu": _Spelling(("weight",)),
    "gelu": _Spelling(("approximate",), {"approximate": "none"}),
    "leaky_relu": _Spelling(("negative_slope",), {"negative_slope": 0.01}),
    "elu": _Spelling(("alpha",), {"alpha": 1.0}),
    "softmax": _Spelling(("dim", "dtype"), {"dtype": None}),
    "log_softmax": _Spelling(("dim", "dtype"), {"dtype": None}),
    "glu": _Spelling(("dim",), {"dim": -1}),
    "dropout": _Spelling(("p", "training"), {}),
    "layer_norm": _Spelling(("normalized_shape", "weight", "bias", "eps"), {"eps": 1e-5}),
    "rms_norm": _Spelling(("normalized_shape", "weight", "eps"), {"eps": None}),
    "group_norm": _Spelling(("num_groups", "weight", "bias", "eps"), {"eps": 1e-5}),
    "batch_norm": _Spelling(
        ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
        {"momentum": 0.1, "eps": 1e-5},
    ),
    "embedding": _Spelling(
        ("weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"),
        {
            "padding_idx": None,
            "max_norm": None,
            "norm_type": 2.0,
            "scale_grad_by_freq": False,
            "sparse": False,
        },
    ),
    "interpolate": _Spelling(
        ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
        {
            "size": None,
            "scale_factor": None,
            "align_corners": None,
            "recompute_scale_factor": None,
            "antialias": False,
        },
    ),
    "pixel_shuffle": _Spelling(("upscale_factor",)),
    "mean": _Spelling(("dim", "keepdim", "dtype"), {"dtype": None}),
    "scaled_dot_product_attention": _Spelling(
        ("key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"),
        {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False},
    ),
}

_FUNCTIONS: dict[str, str] = {
    **{f"Conv{n}d": f"conv{n}d" for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": f"conv_transpose{n}d" for n in (1, 2, 3)},
    **{f"MaxPool{n}d": f"max_pool{n}d" for n in (1, 2, 3)},
    **{f"AvgPool{n}d": f"avg_pool{n}d" for n in (1, 2, 3)},
    **{f"AdaptiveAvgPool{n}d": f"adaptive_avg_pool{n}d" for n in (1, 2, 3)},
    **{f"AdaptiveMaxPool{n}d": f"adaptive_max_pool{n}d" for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": "batch_norm" for n in (1, 2, 3)},
    "Linear": "linear",
    "NonDynamicallyQuantizableLinear": "linear",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
    "SiLU": "silu",
    "Mish": "mish",
    "Hardswish": "hardswish",
    "Hardsigmoid": "hardsigmoid",
    "PReLU": "prelu",
    "GELU": "gelu",
    "LeakyReLU": "leaky_relu",
    "ELU": "elu",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
    "GLU": "glu",
    "Dropout": "dropout",
    "LayerNorm": "layer_norm",
    "RMSNorm": "rms_norm",
    "GroupNorm": "group_norm",
    "Embedding": "embedding",
    "Upsample": "interpolate",
    "PixelShuffle": "pixel_shuffle",
}

_WIDTHS = frozenset(
    {"inplace", "in_channels", "out_channels", "kernel_size", "bias", "in_features", "out_features"}
)
_NORM = frozenset(
    {"elementwise_affine", "affine", "bias", "num_features", "num_channels", "track_running_stats"}
)
_OF_THE_STATE: dict[str, frozenset[str]] = {
    **dict.fromkeys((name for name in _WINDOWED if name.startswith("conv")), _WIDTHS),
    "linear": _WIDTHS,
    "prelu": frozenset({"num_parameters", "init"}),
    "layer_norm": _NORM,
    "rms_norm": _NORM,
    "group_norm": _NORM,
    "batch_norm": _NORM,
    "embedding": frozenset({"num_embeddings", "embedding_dim", "_weight", "_freeze"}),
}
"""Settings that the shapes of the parameters say already."""
