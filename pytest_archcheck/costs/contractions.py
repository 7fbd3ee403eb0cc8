"""``einsum``, ``tensordot`` and chains of matrices: in which order they contract, and what that costs."""

from __future__ import annotations

import string
from collections.abc import Sequence
from math import prod

from pytest_archcheck.costs.products import Operand, Product
from pytest_archcheck.records import Op, Ref, Value

_Term = tuple[str, ...]


def einsum(call: Op) -> tuple[Product, ...] | None:
    """Operands are contracted from left to right, as torch does without an optimizer of its own.

    An index that one operand alone has, and nothing after it, is summed before the product; operands without a common
    index to sum over are multiplied elementwise, which is no product here.
    """
    shapes = [spec.shape for spec in call.inputs]
    parsed = _equation(call.args, shapes)
    if parsed is None or len(parsed[0]) != len(shapes):
        return None
    terms, kept = parsed
    sizes = [dict(zip(term, shape, strict=True)) for term, shape in zip(terms, shapes, strict=True)]
    left = sizes[0]
    made: Operand = (0,)
    products: list[Product] = []
    for position, operand in enumerate(sizes[1:], start=1):
        needed = set(kept).union(*(term.keys() for term in sizes[position + 1 :]))
        left = {index: size for index, size in left.items() if index in needed or index in operand}
        right = {index: size for index, size in operand.items() if index in needed or index in left}
        joined = {index: max(left.get(index, 1), right.get(index, 1)) for index in (*left, *right)}
        summed = [index for index in joined if index not in needed]
        if summed:
            # Where one of the two is broadcast, the other is summed first.
            over = prod(min(left[index], right[index]) for index in summed)
            free = prod(size for index, size in joined.items() if index in needed)
            products.append(Product(free * over, made, (position,)))
        left = {index: size for index, size in joined.items() if index in needed}
        made = (*made, position)
    return tuple(products)


def _equation(args: tuple[Value, ...], shapes: Sequence[tuple[int, ...]]) -> tuple[list[_Term], _Term] | None:
    """The indices of every operand and of the result, ellipses spelled out; ``None`` where they cannot be read."""
    if args and isinstance(args[0], str):
        inputs, arrow, result = args[0].replace(" ", "").partition("->")
        texts = inputs.split(",")
    elif args and isinstance(args[0], Ref):  # einsum(a, [0, 1], b, [1, 2], [0, 2])
        lists = [_letters(item) for item in args if isinstance(item, tuple)]
        arrow = "->" if len(lists) > len(shapes) else ""
        texts, result = lists[: len(shapes)], "".join(lists[len(shapes) :])
    else:
        return None
    if len(texts) != len(shapes):
        return None
    terms = [_spelled(text, len(shape)) for text, shape in zip(texts, shapes, strict=True)]
    if any(len(term) != len(shape) for term, shape in zip(terms, shapes, strict=True)):
        return None
    if arrow:
        longest = max((sum(index.startswith("…") for index in term) for term in terms), default=0)
        kept = _spelled(result, len(result.replace("...", "")) + longest)
    else:
        counts = [index for term in terms for index in term]
        kept = tuple(dict.fromkeys(i for i in counts if i.startswith("…") or counts.count(i) == 1))
    return terms, kept


def _letters(indices: tuple[Value, ...]) -> str:
    return "".join(string.ascii_letters[i] if type(i) is int else "..." for i in indices)


def _spelled(text: str, dimensions: int) -> _Term:
    """``"b...d"`` of four dimensions as ``b …2 …1 d``: an ellipsis is aligned to its right end."""
    before, dots, after = text.partition("...")
    hidden = dimensions - len(before) - len(after) if dots else 0
    return (*before, *(f"…{n}" for n in range(hidden, 0, -1)), *after)


def tensordot(call: Op) -> tuple[Product, ...] | None:
    """The size of the result times that of the dimensions that are summed over."""
    dims = call.args[2] if len(call.args) > 2 else call.kwargs.get("dims", 2)
    left, right = call.inputs[0].shape, call.inputs[1].shape
    if type(dims) is int:
        pairs = [(len(left) - dims + n, n) for n in range(dims)]
    elif isinstance(dims, tuple) and len(dims) == 2 and all(isinstance(side, tuple) for side in dims):
        pairs = list(zip(*dims, strict=True))  # type: ignore[arg-type]
    elif isinstance(dims, tuple) and len(dims) == 2:
        pairs = [dims]  # type: ignore[list-item]
    else:
        return None
    over = prod(min(left[first], right[second]) for first, second in pairs)  # a broadcast one is summed first
    return (Product(call.output.numel * over, (0,), (1,)),)


def chain(call: Op) -> tuple[Product, ...]:
    """``torch.linalg.multi_dot``: the order with the fewest MACs, as its documentation promises."""
    shapes = [spec.shape for spec in call.inputs]
    first = shapes[0] if len(shapes[0]) == 2 else (1, *shapes[0])
    last = shapes[-1] if len(shapes[-1]) == 2 else (*shapes[-1], 1)
    sizes = [first[0], *(shape[0] for shape in shapes[1:-1]), last[0], last[1]]
    best: dict[tuple[int, int], tuple[int, int]] = {}
    for length in range(2, len(shapes) + 1):
        for start in range(len(shapes) - length + 1):
            end = start + length
            options = (
                (
                    best.get((start, cut), (0, 0))[0]
                    + best.get((cut, end), (0, 0))[0]
                    + sizes[start] * sizes[cut] * sizes[end],
                    cut,
                )
                for cut in range(start + 1, end)
            )
            best[start, end] = min(options)
    return tuple(_split(best, sizes, 0, len(shapes)))


def _split(
    best: dict[tuple[int, int], tuple[int, int]], sizes: list[int], start: int, end: int
) -> list[Product]:
    if end - start < 2:
        return []
    cut = best[start, end][1]
    own = Product(sizes[start] * sizes[cut] * sizes[end], tuple(range(start, cut)), tuple(range(cut, end)))
    return [*_split(best, sizes, start, cut), *_split(best, sizes, cut, end), own]
