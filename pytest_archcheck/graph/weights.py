"""What weighs in a depth, and what moves information: the classification of single calls.

A **weighted layer** is a convolution or a matrix product of data with a parameter, whoever calls it. Attention is two
of them in sequence (input and output projection), a recurrent layer one for each stacked layer, a recurrent cell one
however often it is called.
"""

from __future__ import annotations

from pytest_archcheck.records import RECURRENT_OPS, Call, LayerCall, Op, Ref, Value, refs_in

_CONVOLUTION_LAYERS = {f"Conv{n}d" for n in (1, 2, 3)} | {f"ConvTranspose{n}d" for n in (1, 2, 3)}
_PRODUCT_LAYERS = {"Linear", "NonDynamicallyQuantizableLinear", "Bilinear"}
_CELLS = {"RNNCell", "LSTMCell", "GRUCell"}
_CELL_OPS = {"lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"}
_RECURRENT = {"RNN", "LSTM", "GRU"}
_CONVOLUTION_OPS = (
    {f"conv{n}d" for n in (1, 2, 3)} | {f"conv_transpose{n}d" for n in (1, 2, 3)} | {"convolution"}
)
_PRODUCT_OPS = {
    "linear",
    "bilinear",
    "matmul",
    "mm",
    "bmm",
    "mv",
    "addmm",
    "baddbmm",
    "addbmm",
    "addmv",
    "einsum",
    "tensordot",
    "inner",
    "linalg_multi_dot",
}
_ATTENTION_OPS = {"scaled_dot_product_attention", "multi_head_attention_forward"}
REDUCTIONS = set(
    "mean sum prod amax amin max min argmax argmin std var norm linalg_vector_norm logsumexp".split()
)
"""Functions that leave fewer elements, if they are told to."""
_ACTIVATIONS = set(
    "relu relu6 leakyrelu prelu rrelu elu celu selu gelu silu mish hardswish hardsigmoid hardtanh sigmoid tanh "
    "softplus softsign logsigmoid glu softmax".split()
)
_NEW = {"new_zeros", "new_ones", "new_empty", "new_full"}
_AS = {"expand_as", "view_as", "reshape_as", "type_as", "to"}
_OVERWRITING = {"zero", "fill", "copy", "uniform", "random", "exponential"}


def weight_of(call: Call, refs: list[Ref], on_data: list[bool]) -> tuple[int, str]:
    """How many weighted layers a call is, and what carries the weights; ``(0, "")`` for all others.

    ``refs`` are its operands and ``on_data`` says of each whether it was computed from the model's inputs.
    """
    if not any(on_data):
        return 0, ""
    if isinstance(call, LayerCall):
        layer = call.module.layer
        if layer in _CONVOLUTION_LAYERS or layer in _PRODUCT_LAYERS or layer in _CELLS:
            return 1, call.name
        if layer == "MultiheadAttention":
            return 2, call.name
        if layer in _RECURRENT:
            stacked = call.config.get("num_layers", 1)
            return (stacked if isinstance(stacked, int) else 1), call.name
        return 0, ""
    if call.function == "multi_head_attention_forward":
        return 2, _carrier(refs, call)
    if call.function in RECURRENT_OPS:
        stacked = next((value for value in call.args if type(value) is int), 1)
        return stacked, call.id
    if call.function in _CELL_OPS:
        return 1, _carrier(refs, call)
    if not (call.function in _CONVOLUTION_OPS or call.function in _PRODUCT_OPS):
        return 0, ""
    operands = _factors(call, refs, on_data)
    if sum(data for _, data in operands) != 1 or len(operands) < 2:
        return 0, ""
    return 1, next(ref.name for ref, data in operands if not data)


def is_convolution(call: Call) -> bool:
    """Whether a call convolves, as a module or as a function."""
    if isinstance(call, LayerCall):
        return call.module.layer in _CONVOLUTION_LAYERS
    return call.function in _CONVOLUTION_OPS


def is_pooling(call: Call) -> bool:
    """Whether a call pools, as a module or as a function."""
    name = call.module.layer if isinstance(call, LayerCall) else call.function
    return "Pool" in name or "_pool" in name


def is_activation(call: Call) -> bool:
    """Whether a call is an elementwise non-linearity, as a module or as a function."""
    name = call.module.layer if isinstance(call, LayerCall) else call.function
    return name.lower().replace("_", "") in _ACTIVATIONS


def is_recurrent_cell(call: Call) -> bool:
    """Whether a path counts this layer once, however often it is called."""
    if isinstance(call, LayerCall):
        return call.module.layer in _CELLS
    return call.function in _CELL_OPS


def mixes(call: Call) -> bool:
    """Whether a call without weights still does a layer's work: pooling, attention, a product of data, an FFT."""
    if isinstance(call, LayerCall):
        return is_pooling(call)
    function = call.function
    return (
        is_pooling(call)
        or function in _PRODUCT_OPS
        or function in _ATTENTION_OPS
        or function.startswith("fft_")
    )


def takes_part(call: Call | None, *, whole_slices: bool = True) -> bool:
    """Whether a call hands on a part of its operand: an index, a piece of a split, a bounded slice.

    A slice with a step and no bounds (``x[:, :, ::2, ::2]``) is none. With ``whole_slices=False`` a bounded slice is
    none either.
    """
    if not isinstance(call, Op):
        return False
    if call.function != "getitem":
        return call.function in _PARTS
    index = call.args[1] if len(call.args) > 1 else None
    return any(_bounds(item, whole_slices) for item in (index if isinstance(index, tuple) else (index,)))


_PARTS = {"split", "chunk", "tensor_split", "unbind", "select", "narrow", "index_select", "gather", "take"}


def _bounds(item: Value, slices: bool) -> bool:
    if isinstance(item, dict):
        bounds = item.get("slice")
        return slices and isinstance(bounds, tuple) and (bounds[0] not in (None, 0) or bounds[1] is not None)
    return type(item) is int or any(True for _ in refs_in(item))


def reads_values(call: Call, position: int) -> bool:
    """Whether the operand's values matter to the result: ``zeros_like(x)`` only asks ``x`` for its shape."""
    if isinstance(call, LayerCall):
        return True
    function = call.function
    if function.endswith("_like") or function in _NEW:
        return False
    if position == 0 and function in _OVERWRITING and len(call.outputs) == 1:
        return False
    if function == "mul" and any(type(value) in (int, float) and value == 0 for value in call.args):
        return False
    return not (function in _AS and position > 0)


def _carrier(refs: list[Ref], call: Op) -> str:
    """The first parameter among the operands names what carries the weights."""
    return next((ref.name for ref in refs if ref.name.startswith("param:")), call.id)


def _factors(call: Op, refs: list[Ref], on_data: list[bool]) -> list[tuple[Ref, bool]]:
    """The factors of a product: what is only added (a bias, the first of ``addmm``) left out."""
    factors = list(zip(refs, on_data, strict=True))
    if call.function in ("addmm", "baddbmm", "addbmm", "addmv"):
        return factors[1:3]
    if call.function == "bilinear":
        return [factors[0], factors[2]]
    return factors if call.function in ("einsum", "linalg_multi_dot") else factors[:2]
