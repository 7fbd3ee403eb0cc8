"""The products inside the layers of ``torch.nn``, from recorded shapes.

From the weight where there is one; weight norm, spectral norm, pruning and quantization leave the config only.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

from pytest_archcheck.costs.products import (
    AttentionOperands,
    Operand,
    Product,
    attention_products,
    own_parameters,
    window_of,
)
from pytest_archcheck.records import LayerCall


def _number(call: LayerCall, key: str) -> int:
    value = call.config.get(key, 0)
    return value if isinstance(value, int) else 0


def _weight(call: LayerCall) -> tuple[int, ...]:
    """The shape of the weight as it is: a stem for grey images replaces it and leaves the config."""
    name = f"{call.module.name}.weight".lstrip(".")
    return next((tensor.spec.shape for tensor in call.state if tensor.name == name), ())


def _window(call: LayerCall, channels: str) -> int:
    """How many weights one element meets: by the weight, or the config of a layer that has packed it."""
    weight = _weight(call)
    if weight:
        return window_of(weight)
    sizes = call.config.get("kernel_size", ())
    window = prod(size for size in sizes if isinstance(size, int)) if isinstance(sizes, tuple) else 0
    return _number(call, channels) // _number(call, "groups") * window


def _by_weight(call: LayerCall, macs: int) -> tuple[Product, ...]:
    return (Product(macs, (0,), own_parameters(call, "weight")),)


def _convolution(call: LayerCall) -> tuple[Product, ...]:
    return _by_weight(call, call.output.numel * _window(call, "in_channels"))


def _transposed(call: LayerCall) -> tuple[Product, ...]:
    return _by_weight(call, call.inputs[0].numel * _window(call, "out_channels"))


def _linear(call: LayerCall) -> tuple[Product, ...]:
    weight = _weight(call)
    return _by_weight(call, call.output.numel * (weight[-1] if weight else _number(call, "in_features")))


def _bilinear(call: LayerCall) -> tuple[Product, ...]:
    """``x₁ᵀ A`` for every output, and that times ``x₂``."""
    first, second = _number(call, "in1_features"), _number(call, "in2_features")
    weight = own_parameters(call, "weight")
    return (
        Product(call.output.numel * first * second, (0,), weight),
        Product(call.output.numel * second, (0, *weight), (1,)),
    )


def _attention(call: LayerCall) -> tuple[Product, ...]:
    extra = sum(tensor.name.rpartition(".")[2] == "bias_k" for tensor in call.state)
    extra += bool(call.config.get("add_zero_attn"))
    query, key, value = (spec.shape for spec in call.inputs[:3])
    packed = own_parameters(call, "in_proj_weight")
    operands = AttentionOperands(
        projections=(
            packed or own_parameters(call, "q_proj_weight"),
            packed or own_parameters(call, "k_proj_weight"),
            packed or own_parameters(call, "v_proj_weight"),
        ),
        biases=own_parameters(call, "in_proj_bias"),
        added=(own_parameters(call, "bias_k"), own_parameters(call, "bias_v")),
        mask=tuple(range(3, len(call.inputs))),
        out=("out_proj.weight",),
    )
    return attention_products((query, key, value), bool(call.config.get("batch_first")), extra, operands)


def _recurrent(call: LayerCall) -> tuple[Product, ...]:
    """Every weight is used once for each step and sample, those of an LSTM's projection included."""
    gates = _GATES[call.module.layer]
    hidden, projected = _number(call, "hidden_size"), _number(call, "proj_size")
    directions = ("", "_reverse") if call.config.get("bidirectional") else ("",)
    made = projected or hidden
    steps = prod(call.inputs[0].shape[:-1])
    # By the last states [layers, N, hidden], which a packed sequence has too.
    samples = prod(call.outputs[-1].shape[1:-1])
    states: Operand = tuple(range(len(call.inputs)))[-1 if gates != 4 else -2 :] if _has_states(call) else ()
    taken = _number(call, "input_size")
    below: Operand = (0,)
    products: list[Product] = []
    for layer in range(_number(call, "num_layers")):
        above: Operand = ()
        for direction in directions:
            ending = f"_l{layer}{direction}"
            of_inputs, of_states, of_outputs, biases = (
                _named(call, f"{kind}{ending}") for kind in ("weight_ih", "weight_hh", "weight_hr", "bias_ih")
            )
            biases += _named(call, f"bias_hh{ending}")
            inner: Operand = (*below, *states, *of_inputs, *of_states, *of_outputs, *biases)
            products.append(Product(steps * gates * hidden * taken, below, of_inputs))
            products.append(Product(samples * gates * hidden * made, states, of_states))
            products.append(Product((steps - samples) * gates * hidden * made, inner, of_states))
            if projected:
                products.append(Product(steps * hidden * projected, inner, of_outputs))
            above += inner
        taken, below = len(directions) * made, above
    return tuple(products)


def _named(call: LayerCall, name: str) -> Operand:
    """A parameter, or those of which weight norm or pruning makes it."""
    return tuple(
        n for n in own_parameters(call, name) if n in (name, f"{name}_g", f"{name}_v", f"{name}_orig")
    )


def _has_states(call: LayerCall) -> bool:
    """Whether first states were given: after the input, and the batch sizes of a packed sequence."""
    return len(call.inputs) > 1 and not call.inputs[-1].dtype.startswith("int")


def _cell(call: LayerCall) -> tuple[Product, ...]:
    gates, hidden = _GATES[call.module.layer.removesuffix("Cell")], _number(call, "hidden_size")
    samples = prod(call.inputs[0].shape[:-1])
    states: Operand = (1,) if len(call.inputs) > 1 else ()
    return (
        Product(
            samples * gates * hidden * _number(call, "input_size"), (0,), own_parameters(call, "weight_ih")
        ),
        Product(samples * gates * hidden * hidden, states, own_parameters(call, "weight_hh")),
    )


_GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}

LAYERS: dict[str, Callable[[LayerCall], tuple[Product, ...]]] = {
    **{f"Conv{n}d": _convolution for n in (1, 2, 3)},
    **{f"ConvTranspose{n}d": _transposed for n in (1, 2, 3)},
    "Linear": _linear,
    "NonDynamicallyQuantizableLinear": _linear,
    "Bilinear": _bilinear,
    "MultiheadAttention": _attention,
    **dict.fromkeys(("RNN", "LSTM", "GRU"), _recurrent),
    **dict.fromkeys(("RNNCell", "LSTMCell", "GRUCell"), _cell),
}
"""The products of each class of ``torch.nn`` that has any."""
