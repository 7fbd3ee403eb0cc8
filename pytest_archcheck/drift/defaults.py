"""Constructor defaults of ``torch.nn``'s own modules, which the text leaves out.

The table is frozen with the format: it is not read from the installed torch, where a changed default
would vanish from the text. A module that is not listed here has all its arguments written.
"""

from __future__ import annotations

from collections.abc import Mapping

from pytest_archcheck.records import Value


def _conv(n: int) -> dict[str, Value]:
    return {
        "stride": (1,) * n,
        "padding": (0,) * n,
        "dilation": (1,) * n,
        "groups": 1,
        "bias": True,
        "padding_mode": "zeros",
    }


def _transposed(n: int) -> dict[str, Value]:
    return {**_conv(n), "output_padding": (0,) * n}


def _max_pool(n: int) -> dict[str, Value]:
    return {
        "padding": (0,) * n,
        "dilation": (1,) * n,
        "return_indices": False,
        "ceil_mode": False,
    }


def _avg_pool(n: int) -> dict[str, Value]:
    defaults: dict[str, Value] = {"padding": (0,) * n, "ceil_mode": False, "count_include_pad": True}
    return defaults if n == 1 else {**defaults, "divisor_override": None}


_BATCH_NORM: dict[str, Value] = {
    "eps": 1e-05,
    "momentum": 0.1,
    "affine": True,
    "track_running_stats": True,
}
_INSTANCE_NORM: dict[str, Value] = {
    "eps": 1e-05,
    "momentum": 0.1,
    "affine": False,
    "track_running_stats": False,
}
_RECURRENT: dict[str, Value] = {
    "num_layers": 1,
    "bias": True,
    "batch_first": False,
    "dropout": 0.0,
    "bidirectional": False,
    "proj_size": 0,
}
_IN_PLACE = "ReLU ReLU6 SiLU SELU Mish Hardswish Hardsigmoid".split()
_DROPOUTS = "Dropout Dropout1d Dropout2d Dropout3d AlphaDropout FeatureAlphaDropout".split()

DEFAULTS: Mapping[str, Mapping[str, Value]] = {
    **{f"Conv{n}d": _conv(n) for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": _transposed(n) for n in (1, 2, 3)},
    **{f"MaxPool{n}d": _max_pool(n) for n in (1, 2, 3)},
    **{f"AvgPool{n}d": _avg_pool(n) for n in (1, 2, 3)},
    **{f"AdaptiveMaxPool{n}d": {"return_indices": False} for n in (1, 2, 3)},
    **{f"BatchNorm{n}d": _BATCH_NORM for n in (1, 2, 3)},
    **{f"InstanceNorm{n}d": _INSTANCE_NORM for n in (1, 2, 3)},
    **{name: {"inplace": False} for name in _IN_PLACE},
    **{name: {"p": 0.5, "inplace": False} for name in _DROPOUTS},
    **dict.fromkeys(("RNNBase", "RNN", "LSTM", "GRU"), _RECURRENT),
    "Linear": {"bias": True},
    "NonDynamicallyQuantizableLinear": {"bias": True},
    "LayerNorm": {"eps": 1e-05, "elementwise_affine": True},
    "GroupNorm": {"eps": 1e-05, "affine": True},
    "RMSNorm": {"eps": None, "elementwise_affine": True},
    "ELU": {"alpha": 1.0, "inplace": False},
    "CELU": {"alpha": 1.0, "inplace": False},
    "GELU": {"approximate": "none"},
    "LeakyReLU": {"negative_slope": 0.01, "inplace": False},
    "Flatten": {"start_dim": 1, "end_dim": -1},
    "Embedding": {
        "padding_idx": None,
        "max_norm": None,
        "norm_type": 2.0,
        "scale_grad_by_freq": False,
        "sparse": False,
    },
    "MultiheadAttention": {
        "dropout": 0.0,
        "add_zero_attn": False,
        "batch_first": False,
    },
}
"""``DEFAULTS["Conv2d"]["groups"]`` is 1. Window sizes are in their one spelling, a tuple."""
