"""The functions that have a spelling of their own: the order of their arguments, their defaults, their modules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_archcheck.records import Value


@dataclass(frozen=True, slots=True)
class Spelling:
    """``order`` names the function's arguments after the first tensor; ``defaults`` are left out of the spelling."""

    order: tuple[str, ...] = ()
    defaults: Mapping[str, Value] = field(default_factory=dict)


_PLAIN = {
    name: name.lower()
    for name in "ReLU ReLU6 Sigmoid Tanh SiLU Mish Hardswish Hardsigmoid SELU Softsign LogSigmoid".split()
}
"""Activations without settings."""

_WINDOWED: dict[str, Spelling] = {}
for _n in (1, 2, 3):
    _one, _zero = (1,) * _n, (0,) * _n
    _conv: dict[str, Value] = {
        "stride": _one,
        "padding": _zero,
        "dilation": _one,
        "groups": 1,
        "padding_mode": "zeros",
    }
    _WINDOWED[f"conv{_n}d"] = Spelling(("weight", "bias", "stride", "padding", "dilation", "groups"), _conv)
    _WINDOWED[f"conv_transpose{_n}d"] = Spelling(
        ("weight", "bias", "stride", "padding", "output_padding", "groups", "dilation"),
        {**_conv, "output_padding": _zero},
    )
    _WINDOWED[f"max_pool{_n}d"] = Spelling(
        ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices"),
        {"padding": _zero, "dilation": _one, "ceil_mode": False, "return_indices": False},
    )
    _WINDOWED[f"avg_pool{_n}d"] = Spelling(
        ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override"),
        {"padding": _zero, "ceil_mode": False, "count_include_pad": True, "divisor_override": None},
    )
    _WINDOWED[f"adaptive_avg_pool{_n}d"] = Spelling(("output_size",))
    _WINDOWED[f"adaptive_max_pool{_n}d"] = Spelling(
        ("output_size", "return_indices"), {"return_indices": False}
    )

SPELLINGS: dict[str, Spelling] = {
    **_WINDOWED,
    **dict.fromkeys(_PLAIN.values(), Spelling()),
    "linear": Spelling(("weight", "bias")),
    "prelu": Spelling(("weight",)),
    "softplus": Spelling(("beta", "threshold"), {"beta": 1.0, "threshold": 20.0}),
    "hardtanh": Spelling(("min_val", "max_val"), {"min_val": -1.0, "max_val": 1.0}),
    "celu": Spelling(("alpha",), {"alpha": 1.0}),
    "pad": Spelling(("pad", "mode", "value"), {"mode": "constant", "value": 0}),
    "MultiheadAttention": Spelling(
        (
            "key",
            "value",
            "key_padding_mask",
            "need_weights",
            "attn_mask",
            "average_attn_weights",
            "is_causal",
        ),
        {
            "key_padding_mask": None,
            "need_weights": True,
            "attn_mask": None,
            "average_attn_weights": True,
            "is_causal": False,
        },
    ),
    "gelu": Spelling(("approximate",), {"approximate": "none"}),
    "leaky_relu": Spelling(("negative_slope",), {"negative_slope": 0.01}),
    "elu": Spelling(("alpha",), {"alpha": 1.0}),
    "softmax": Spelling(("dim", "dtype"), {"dtype": None}),
    "log_softmax": Spelling(("dim", "dtype"), {"dtype": None}),
    "glu": Spelling(("dim",), {"dim": -1}),
    "dropout": Spelling(("p", "training"), {}),
    "layer_norm": Spelling(("normalized_shape", "weight", "bias", "eps"), {"eps": 1e-5}),
    "rms_norm": Spelling(("normalized_shape", "weight", "eps"), {"eps": None}),
    "group_norm": Spelling(("num_groups", "weight", "bias", "eps"), {"eps": 1e-5}),
    "batch_norm": Spelling(
        ("running_mean", "running_var", "weight", "bias", "training", "momentum", "eps"),
        {"momentum": 0.1, "eps": 1e-5},
    ),
    "embedding": Spelling(
        ("weight", "padding_idx", "max_norm", "norm_type", "scale_grad_by_freq", "sparse"),
        {
            "padding_idx": None,
            "max_norm": None,
            "norm_type": 2.0,
            "scale_grad_by_freq": False,
            "sparse": False,
        },
    ),
    "interpolate": Spelling(
        ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor"),
        {"mode": "nearest", "align_corners": False, "antialias": False},
    ),
    "pixel_shuffle": Spelling(("upscale_factor",)),
    "mean": Spelling(("dim", "keepdim", "dtype"), {"dtype": None}),
    "scaled_dot_product_attention": Spelling(
        ("key", "value", "attn_mask", "dropout_p", "is_causal", "scale", "enable_gqa"),
        {"attn_mask": None, "dropout_p": 0.0, "is_causal": False, "scale": None, "enable_gqa": False},
    ),
}

FUNCTIONS: dict[str, str] = {
    **{f"Conv{n}d": f"conv{n}d" for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": f"conv_transpose{n}d" for n in (1, 2, 3)},
    **{f"MaxPool{n}d": f"max_pool{n}d" for n in (1, 2, 3)},
    **{f"AvgPool{n}d": f"avg_pool{n}d" for n in (1, 2, 3)},
    **{f"AdaptiveAvgPool{n}d": f"adaptive_avg_pool{n}d" for n in (1, 2, 3)},
    **{f"AdaptiveMaxPool{n}d": f"adaptive_max_pool{n}d" for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": "batch_norm" for n in (1, 2, 3)},
    **_PLAIN,
    "Softplus": "softplus",
    "Hardtanh": "hardtanh",
    "CELU": "celu",
    "UpsamplingNearest2d": "interpolate",
    "UpsamplingBilinear2d": "interpolate",
    **{
        f"{kind}Pad{n}d": "pad"
        for kind in ("Zero", "Constant", "Reflection", "Replication", "Circular")
        for n in (1, 2, 3)
    },
    "Linear": "linear",
    "NonDynamicallyQuantizableLinear": "linear",
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
OF_THE_STATE: dict[str, frozenset[str]] = {
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

MODULE_SETTINGS: dict[str, dict[str, Value]] = {
    "UpsamplingBilinear2d": {"mode": "bilinear", "align_corners": True},
    **{f"ZeroPad{n}d": {"mode": "constant"} for n in (1, 2, 3)},
    **{f"ReflectionPad{n}d": {"mode": "reflect"} for n in (1, 2, 3)},
    **{f"ReplicationPad{n}d": {"mode": "replicate"} for n in (1, 2, 3)},
    **{f"CircularPad{n}d": {"mode": "circular"} for n in (1, 2, 3)},
}
"""Settings that a module's class says."""
