"""Multiply-accumulates from recorded shapes, whatever kernel ran.

Counting semantics:

* counted: convolutions, matrix products, attention and recurrent layers, each call of them;
* not counted, by convention: bias additions, norms, activations, pooling, everything elementwise;
* one multiply-accumulate is one MAC; a FLOP count is twice the MACs, always;
* a product without a formula here, and any function that is not torch's own, is named as not counted
  and makes the count partial. It is never a silent 0.

torchvision's ``_ops`` metadata (in units of 10⁹) is counted the same way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

from pytest_archcheck.records import RECURRENT_OPS, Call, LayerCall, Op, TensorSpec, Value
from pytest_archcheck.traces import Trace


@dataclass(frozen=True, slots=True)
class MacCount:
    """The MACs of a forward: in total, per call, and the calls that could not be counted."""

    total: int
    per_call: dict[str, int]
    uncounted: tuple[str, ...]

    @property
    def status(self) -> str:
        """``"complete"``, or ``"partial: …"`` with the names of what was not counted."""
        if not self.uncounted:
            return "complete"
        shown = ", ".join(self.uncounted[:5])
        more = f" and {len(self.uncounted) - 5} more" if len(self.uncounted) > 5 else ""
        return f"partial: {shown}{more} not counted"


def count_macs(trace: Trace) -> MacCount:
    """The MACs of every call of a trace."""
    per_call: dict[str, int] = {}
    uncounted: list[str] = []
    uncounted += [f"opaque:{tensor.name}" for tensor in trace.state if tensor.kind == "opaque"]
    for call in trace.calls:
        macs = 0 if isinstance(call, LayerCall) and not call.atomic else macs_of(call)
        if macs is None:
            uncounted.append(call.id)
        elif macs:
            per_call[call.id] = macs
    return MacCount(sum(per_call.values()), per_call, tuple(uncounted))


def macs_of(call: Call) -> int | None:
    """The MACs of one call; ``None`` where they are not known, or are those of the calls inside it."""
    if isinstance(call, LayerCall) and not call.atomic:
        return None
    macs = _layer_macs(call) if isinstance(call, LayerCall) else _op_macs(call)
    is_ragged = any(size < 0 for spec in (*call.inputs, *call.outputs) for size in spec.shape)
    return None if macs and is_ragged else macs


def _layer_macs(call: LayerCall) -> int | None:
    formula = _LAYERS.get(call.module.layer)
    if formula is None:
        return 0 if call.module.is_torch else None  # a scripted module's inside is not known
    return formula(call)


def _op_macs(call: Op) -> int | None:
    if call.function in _QUANTIZED:
        return 0
    if "." in call.function:  # not torch's own
        return None
    formula = _OPS.get(call.function)
    if formula is not None:
        return formula(call)
    return None if _NO_FORMULA.match(call.function) else 0


# -- layers ----------------------------------------------------------------------------------------
# From the weight where there is one; weight norm, spectral norm, pruning and quantization leave the config only.


def _number(call: LayerCall, key: str) -> int:
    value = call.config.get(key, 0)
    return value if isinstance(value, int) else 0


def _window(call: LayerCall) -> int:
    sizes = call.config.get("kernel_size", ())
    return prod(size for size in sizes if isinstance(size, int)) if isinstance(sizes, tuple) else 0


def _weight(call: LayerCall) -> tuple[int, ...]:
    """The shape of the weight as it is: a stem for grey images replaces it and leaves the config."""
    name = f"{call.module.name}.weight".lstrip(".")
    return next((tensor.spec.shape for tensor in call.state if tensor.name == name), ())


def _convolution(call: LayerCall) -> int:
    weight = _weight(call)
    if weight:
        return call.output.numel * prod(weight[1:])
    return call.output.numel * _number(call, "in_channels") // _number(call, "groups") * _window(call)


def _transposed(call: LayerCall) -> int:
    weight = _weight(call)
    if weight:
        return call.inputs[0].numel * prod(weight[1:])
    return call.inputs[0].numel * _number(call, "out_channels") // _number(call, "groups") * _window(call)


def _linear(call: LayerCall) -> int:
    weight = _weight(call)
    return call.output.numel * (weight[-1] if weight else _number(call, "in_features"))


def _bilinear(call: LayerCall) -> int:
    first, second = _number(call, "in1_features"), _number(call, "in2_features")
    return call.output.numel * (first * second + second)


def _attention(call: LayerCall) -> int:
    extra = sum(tensor.name.rpartition(".")[2] == "bias_k" for tensor in call.state)
    extra += bool(call.config.get("add_zero_attn"))
    return _attention_macs(call.inputs, bool(call.config.get("batch_first")), extra)


def _attention_macs(inputs: Sequence[TensorSpec], batch_first: bool, extra: int) -> int:
    """Input projections, scores, weighted values and output projection; ``extra`` keys are added inside."""
    query, key, value = inputs[:3]
    width = query.shape[-1]
    batch, target, source = 1, query.shape[0], key.shape[0]
    if len(query.shape) == 3:
        batch = query.shape[0 if batch_first else 1]
        target, source = query.shape[int(batch_first)], key.shape[int(batch_first)]
    projected = 2 * target * width * width + source * width * (key.shape[-1] + value.shape[-1])
    return batch * (projected + 2 * target * (source + extra) * width)


def _recurrent(call: LayerCall) -> int:
    """Every weight is used once for each step and sample, those of an LSTM's projection included."""
    gates = _GATES[call.module.layer.removesuffix("Cell")]
    hidden = _number(call, "hidden_size")
    steps = prod(call.inputs[0].shape[:-1])
    if call.module.layer.endswith("Cell"):
        return steps * gates * hidden * (_number(call, "input_size") + hidden)
    directions = 2 if call.config.get("bidirectional") else 1
    projected = _number(call, "proj_size")
    made = projected or hidden
    taken = _number(call, "input_size")
    weights = 0
    for _ in range(_number(call, "num_layers")):
        weights += directions * (gates * hidden * (taken + made) + hidden * projected)
        taken = directions * made
    return steps * weights


_GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
_LAYERS: dict[str, Callable[[LayerCall], int]] = {
    **{f"Conv{n}d": _convolution for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": _transposed for n in (1, 2, 3)},
    "Linear": _linear,
    "NonDynamicallyQuantizableLinear": _linear,
    "Bilinear": _bilinear,
    "MultiheadAttention": _attention,
    **dict.fromkeys(("RNN", "LSTM", "GRU", "RNNCell", "LSTMCell", "GRUCell"), _recurrent),
}


# -- functions -------------------------------------------------------------------------------------


def _conv_op(call: Op) -> int:
    return call.output.numel * prod(call.inputs[1].shape[1:])


def _conv_transpose_op(call: Op) -> int:
    return call.inputs[0].numel * prod(call.inputs[1].shape[1:])


def _linear_op(call: Op) -> int:
    return call.output.numel * call.inputs[1].shape[-1]


def _product(call: Op) -> int:
    """The size of the result times the length of the contracted dimension."""
    return call.output.numel * call.inputs[0].shape[-1]


def _added_product(call: Op) -> int:
    """``addmm(added, a, b)`` and its relatives; the sum over a batch included."""
    _, left, right = call.inputs[:3]
    return left.numel * (right.shape[-1] if len(right.shape) > 1 else 1)


def _dot(call: Op) -> int:
    return call.inputs[0].numel


def _bilinear_op(call: Op) -> int:
    outputs, first, second = call.inputs[2].shape
    return call.output.numel // outputs * outputs * (first * second + second)


def _scaled_attention(call: Op) -> int:
    """Scores and weighted values: query ``[…, L, E]``, key ``[…, S, E]``, value ``[…, S, V]``."""
    query, key, value = call.inputs[:3]
    batch_and_targets = prod(call.output.shape[:-1])  # as broadcast
    return batch_and_targets * key.shape[-2] * (query.shape[-1] + value.shape[-1])


def _functional_attention(call: Op) -> int:
    """``F.multi_head_attention_forward(query, key, value, …)``, each ``[L, N, E]``."""
    has_bias_k = len(call.args) > 7 and call.args[7] is not None
    adds_zero = len(call.args) > 9 and call.args[9] is True
    return _attention_macs(call.inputs, False, has_bias_k + adds_zero)


def _recurrent_op(call: Op) -> int:
    """``torch.lstm`` and its like: every weight matrix is used once for each step and sample."""
    weights = sum(spec.numel for spec in call.inputs[1:] if len(spec.shape) == 2)
    return prod(call.inputs[0].shape[:-1]) * weights


def _cell_op(call: Op) -> int:
    """``torch.lstm_cell`` and its like: of the matrices, the last two are weights, the others input and states."""
    matrices = [spec for spec in call.inputs if len(spec.shape) == 2]
    return prod(call.inputs[0].shape[:-1]) * sum(spec.numel for spec in matrices[-2:])


def _einsum(call: Op) -> int | None:
    """The product of all index sizes for two operands; more need an order of contraction."""
    equation = call.args[0]
    if not isinstance(equation, str) or "." in equation or len(call.inputs) > 2:
        return None
    if len(call.inputs) < 2:
        return 0
    terms = equation.replace(" ", "").partition("->")[0].split(",")
    sizes: dict[str, int] = {}
    for term, operand in zip(terms, call.inputs, strict=False):
        for index, size in zip(term, operand.shape, strict=False):
            sizes[index] = max(size, sizes.get(index, 1))  # one of them may be broadcast
    return prod(sizes.values())


def _tensordot(call: Op) -> int | None:
    dims = call.args[2] if len(call.args) > 2 else call.kwargs.get("dims", 2)
    left = call.inputs[0].shape
    contracted = _contracted(left, dims)
    return None if contracted is None else call.output.numel * contracted


def _contracted(left: tuple[int, ...], dims: Value) -> int | None:
    if type(dims) is int:
        return prod(left[len(left) - dims :])
    if isinstance(dims, tuple) and dims and isinstance(dims[0], tuple):
        return prod(left[d] for d in dims[0] if type(d) is int)
    return None


_OPS: dict[str, Callable[[Op], int | None]] = {
    **{f"conv{n}d": _conv_op for n in (1, 2, 3)},
    **{f"conv_transpose{n}d": _conv_transpose_op for n in (1, 2, 3)},
    "linear": _linear_op,
    "bilinear": _bilinear_op,
    **dict.fromkeys(("matmul", "mm", "bmm", "mv"), _product),
    **dict.fromkeys(("addmm", "baddbmm", "addbmm", "addmv"), _added_product),
    "dot": _dot,
    "vdot": _dot,
    "multi_head_attention_forward": _functional_attention,
    **dict.fromkeys(RECURRENT_OPS, _recurrent_op),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), _cell_op),
    "einsum": _einsum,
    "tensordot": _tensordot,
    "scaled_dot_product_attention": _scaled_attention,
}

# Elementwise, as their plain forms are.
_QUANTIZED = frozenset(
    f"quantized.{name}"
    for name in "add add_relu add_scalar cat cat_relu mul mul_relu mul_scalar hardswish".split()
)

# torch's functions that multiply and accumulate, for which there is no formula above.
_NO_FORMULA = re.compile(
    r"(chain_matmul|linalg_|cdist|pdist|cov$|corrcoef|conv_tbc|"
    r"inner$|kron$|addr$|fft_|stft|istft|quantized_|conv|flex_attention|_?scaled_mm|"
    r"grouped_mm|int_mm|addmm_activation|weight_int|scaled_dot_product_|trilinear|smm$|hspmm|sspaddmm|triangular_solve|"
    r"det$|logdet|slogdet|geqrf|orgqr|ormqr|cond$|while_loop|addbmm|baddbmm|sparse_|cholesky|grad$|backward$|pinverse|inverse|matrix_|lu_|qr|svd|ger$|outer$)"
)
