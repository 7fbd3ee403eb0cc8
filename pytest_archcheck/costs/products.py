"""What costs multiply-accumulates: sums of products of two operands."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import TypeAlias

from pytest_archcheck.records import LayerCall

Source: TypeAlias = int | str
Operand: TypeAlias = tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Product:
    """A matrix product or convolution inside one call.

    ``macs`` are its multiply-accumulates in the forward. An operand is what it is computed from: positions among the
    call's input tensors, and names of parameters relative to the module. Its gradient costs as many MACs as the
    forward, for each operand that needs one.
    """

    macs: int
    left: Operand
    right: Operand


@dataclass(frozen=True, slots=True)
class AttentionWeights:
    """What carries the input projections, their biases, the added keys and values, and the output projection."""

    projections: Operand
    biases: Operand
    added: Operand
    out: Operand


def attention_products(
    shapes: tuple[tuple[int, ...], ...], batch_first: bool, extra: int, weights: AttentionWeights
) -> tuple[Product, ...]:
    """Multi-head attention: three input projections, scores, weighted values, output projection.

    Args:
        shapes: of query ``[L, N, E]``, key ``[S, N, K]`` and value ``[S, N, V]``, or without ``N``.
        batch_first: whether ``N`` comes first.
        extra: keys that are added inside, which are not projected.
        weights: where the parameters are.
    """
    query, key, value = shapes
    width = query[-1]
    batch, target, source = 1, query[0], key[0]
    if len(query) == 3:
        batch = query[0 if batch_first else 1]
        target, source = query[int(batch_first)], key[int(batch_first)]
    projected = (*weights.projections, *weights.biases)
    queries, keys, values = (0, *projected), (1, *projected, *weights.added), (2, *projected, *weights.added)
    attended = batch * target * (source + extra) * width
    return (
        Product(batch * target * width * width, (0,), weights.projections),
        Product(batch * source * width * key[-1], (1,), weights.projections),
        Product(batch * source * width * value[-1], (2,), weights.projections),
        Product(attended, queries, keys),
        Product(attended, queries + keys, values),
        Product(batch * target * width * width, queries + keys + values, weights.out),
    )


def own_parameters(call: LayerCall, *starts: str) -> Operand:
    """The layer's own parameters whose names begin so: weight norm has ``weight_g`` and ``weight_v``."""
    names = [
        tensor.name[len(call.module.name) :].lstrip(".") for tensor in call.state if tensor.kind == "param"
    ]
    return tuple(name for name in names if name.startswith(starts))


def window_of(shape: tuple[int, ...]) -> int:
    """How many inputs one output of a convolution sums up, by its weight ``[out, in / groups, *window]``."""
    return prod(shape[1:])
