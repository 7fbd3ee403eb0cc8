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
class AttentionOperands:
    """Where the operands of attention are, beside query, key and value, which come first.

    ``projections`` are the weights for queries, keys and values, ``biases`` those of all three, ``added`` the keys and
    values that are added inside, ``mask`` what is added to the scores, ``out`` the output projection's weight.
    """

    projections: tuple[Operand, Operand, Operand]
    biases: Operand
    added: tuple[Operand, Operand]
    mask: Operand
    out: Operand


def attention_products(
    shapes: tuple[tuple[int, ...], ...], batch_first: bool, extra: int, operands: AttentionOperands
) -> tuple[Product, ...]:
    """Multi-head attention: three input projections, scores, weighted values, output projection.

    Args:
        shapes: of query ``[L, N, E]``, key ``[S, N, K]`` and value ``[S, N, V]``, or without ``N``.
        batch_first: whether ``N`` comes first.
        extra: keys that are added inside, which are not projected.
        operands: what each product is computed from.
    """
    query, key, value = shapes
    width = query[-1]
    batch, target, source = 1, query[0], key[0]
    if len(query) == 3:
        batch = query[0 if batch_first else 1]
        target, source = query[int(batch_first)], key[int(batch_first)]
    of_queries, of_keys, of_values = operands.projections
    queries = (0, *of_queries, *operands.biases)
    keys = (1, *of_keys, *operands.biases, *operands.added[0])
    values = (2, *of_values, *operands.biases, *operands.added[1])
    scores = queries + keys + operands.mask
    attended = batch * target * (source + extra) * width
    return (
        Product(batch * target * width * width, (0,), of_queries),
        Product(batch * source * width * key[-1], (1,), of_keys),
        Product(batch * source * width * value[-1], (2,), of_values),
        Product(attended, queries, keys),
        Product(attended, scores, values),
        Product(batch * target * width * width, scores + values, operands.out),
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
