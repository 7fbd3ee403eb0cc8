"""Calls that only move elements, as exact index maps: views, reshapes, permutations, slices, splits.

A layout says, for every position of a tensor, which element of the tensor behind it lies there. Each dimension is a
row of factors ``(size, stride)``, the outermost first; strides count elements of the tensor behind, taken as
contiguous. Splitting and merging factors gives every chain of such calls one normal form, so that
``x.split(C, 2)[1].view(B, T, H, D).transpose(1, 2)`` and ``x.view(B, T, 3, H, D).permute(2, 0, 3, 1, 4)[1]`` are equal
when they are the same elements in the same order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import prod

from pytest_archcheck.records import Call, LayerCall, Op, Symbol, Value

Factor = tuple[int, int]
Dim = tuple[Factor, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the elements of a tensor lie in the one behind it."""

    dims: tuple[Dim, ...]
    offset: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """The tensor's shape."""
        return tuple(prod(size for size, _ in dim) for dim in self.dims)

    def grouped(self, kept: int) -> Layout:
        """The same elements in the same order, all dimensions but the last ``kept`` as one."""
        cut = len(self.dims) - kept
        leading = tuple(factor for dim in self.dims[:cut] for factor in dim)
        return Layout((_merged(leading), *self.dims[cut:]), self.offset)

    def __str__(self) -> str:
        dims = ["·".join(f"{size}:{stride}" for size, stride in dim) or "1" for dim in self.dims]
        return f"[{', '.join(dims)}]" + (f"+{self.offset}" if self.offset else "")


@lru_cache(maxsize=4096)
def contiguous(shape: tuple[int, ...]) -> Layout:
    """The layout of a tensor as it was made."""
    stride = 1
    dims: list[Dim] = []
    for size in reversed(shape):
        dims.append(((size, stride),) if size != 1 else ())
        stride *= size
    return Layout(tuple(reversed(dims)))


def moves(call: Call, index: int, before: Layout) -> Layout | None:
    """The layout of a call's output ``index`` over the same tensor behind; ``None`` where it does more than move.

    ``before`` is the layout of its first operand.
    """
    rule = _LAYERS.get(call.type) if isinstance(call, LayerCall) else _OPS.get(call.function)
    if rule is None or index >= len(call.outputs) or prod(before.shape) <= 0:
        return None
    if call.outputs[index].dtype != call.inputs[0].dtype:  # bits seen as another type, or a cast
        return None
    target = call.outputs[index].shape
    if any(size <= 0 for size in target):
        return None
    try:
        after = rule(call, index, before)
    except (KeyError, IndexError, TypeError, ValueError):
        return None
    if after is None or after.shape != target:
        return None
    return Layout(tuple(_merged(dim) for dim in after.dims), after.offset)


def _merged(dim: Iterable[Factor]) -> Dim:
    merged: list[Factor] = []
    for size, stride in dim:
        if size == 1:
            continue
        if merged and merged[-1][1] == size * stride:
            merged[-1] = (merged[-1][0] * size, stride)
        else:
            merged.append((size, stride))
    return tuple(merged)


# -- one function for each kind of call -----------------------------------------------------------------------


def _same(call: Call, index: int, before: Layout) -> Layout:
    return before


def _reshaped(call: Call, index: int, before: Layout) -> Layout | None:
    """Cut the factors anew, in row-major order; ``None`` where a factor cannot be cut so."""
    factors = [factor for dim in before.dims for factor in dim][::-1]
    dims: list[Dim] = []
    for extent in call.outputs[index].shape:
        wanted, dim = extent, list[Factor]()
        while wanted > 1:
            size, stride = factors.pop()
            if wanted % size == 0:
                dim.append((size, stride))
                wanted //= size
            elif size % wanted == 0:
                rest = size // wanted
                dim.append((wanted, stride * rest))
                factors.append((rest, stride))
                wanted = 1
            else:
                return None
        dims.append(tuple(dim))
    return Layout(tuple(dims), before.offset)


def _permuted(call: Call, index: int, before: Layout) -> Layout:
    order = _argument(call, "dims", 1)
    assert isinstance(order, tuple)
    return Layout(tuple(before.dims[_int(i)] for i in order), before.offset)


def _reversed(call: Call, index: int, before: Layout) -> Layout:
    """``x.T``."""
    return Layout(before.dims[::-1], before.offset)


def _transposed(call: Call, index: int, before: Layout) -> Layout:
    dims = list(before.dims)
    first, second = (
        (_int(_argument(call, "dim0", 1)), _int(_argument(call, "dim1", 2)))
        if isinstance(call, Op) and call.function == "transpose"
        else (-2, -1)
    )
    dims[first], dims[second] = dims[second], dims[first]
    return Layout(tuple(dims), before.offset)


def _expanded(call: Call, index: int, before: Layout) -> Layout:
    target = call.outputs[index].shape
    dims: list[Dim] = [()] * (len(target) - len(before.dims)) + list(before.dims)
    wide = [((size, 0),) if not dim and size > 1 else dim for dim, size in zip(dims, target, strict=True)]
    return Layout(tuple(wide), before.offset)


def _part(before: Layout, dim: int, start: int, size: int, step: int = 1) -> Layout:
    """``size`` positions of one dimension from ``start`` on; a dimension of several factors is cut at the outermost.

    Raises:
        ValueError: the cut does not fall between factors.
    """
    dims = list(before.dims)
    factors = dims[dim] or ((1, 0),)
    (outer, stride), inner = factors[0], prod(size for size, _ in factors[1:])
    if inner > 1 and size == 1:
        offset, rest = 0, start
        for extent, width in reversed(factors):
            offset, rest = offset + rest % extent * width, rest // extent
        dims[dim] = ()
        return Layout(tuple(dims), before.offset + offset)
    if start % inner or size % inner or (inner > 1 and step != 1) or start // inner >= outer:
        raise ValueError("the cut does not fall between factors")
    dims[dim] = ((size // inner, stride * step), *factors[1:])
    return Layout(tuple(dims), before.offset + start // inner * stride)


def _piece(call: Call, index: int, before: Layout) -> Layout:
    """An output of ``split`` or ``chunk``."""
    dim = _int(_argument(call, "dim", 2, 0)) % len(before.dims)
    start = sum(output.shape[dim] for output in call.outputs[:index])
    return _part(before, dim, start, call.outputs[index].shape[dim])


def _unbound(call: Call, index: int, before: Layout) -> Layout:
    dim = _int(_argument(call, "dim", 1, 0)) % len(before.dims)
    part = _part(before, dim, index, 1)
    return Layout((*part.dims[:dim], *part.dims[dim + 1 :]), part.offset)


def _selected(call: Call, index: int, before: Layout) -> Layout:
    dim = _int(_argument(call, "dim", 1)) % len(before.dims)
    place = _int(_argument(call, "index", 2)) % before.shape[dim]
    part = _part(before, dim, place, 1)
    return Layout((*part.dims[:dim], *part.dims[dim + 1 :]), part.offset)


def _narrowed(call: Call, index: int, before: Layout) -> Layout:
    dim = _int(_argument(call, "dim", 1)) % len(before.dims)
    start, length = _int(_argument(call, "start", 2)), _int(_argument(call, "length", 3))
    return _part(before, dim, start % before.shape[dim], length)


def _indexed(call: Call, index: int, before: Layout) -> Layout | None:
    """``x[…]`` with integers, slices, ``None`` and an ellipsis."""
    items = _argument(call, "index", 1)
    items = items if isinstance(items, tuple) else (items,)
    taken = sum(item is not None and item != _ELLIPSIS for item in items)
    if _ELLIPSIS not in items:
        items = (*items, _ELLIPSIS)
    layout, at = before, 0
    for item in items:
        if item == _ELLIPSIS:
            at += len(before.dims) - taken
        elif item is None:
            layout = Layout((*layout.dims[:at], (), *layout.dims[at:]), layout.offset)
            at += 1
        elif type(item) is int:
            part = _part(layout, at, item % layout.shape[at], 1)
            layout = Layout((*part.dims[:at], *part.dims[at + 1 :]), part.offset)
        elif isinstance(item, dict) and isinstance(bounds := item.get("slice"), tuple):
            span = range(layout.shape[at])[slice(*bounds)]  # type: ignore[arg-type]
            if span != range(layout.shape[at]):
                layout = _part(layout, at, span.start, len(span), span.step)
            at += 1
        else:
            return None
    return layout


_ELLIPSIS = Symbol("Ellipsis")
_NO_DEFAULT = object()


def _argument(call: Call, name: str, position: int, default: object = _NO_DEFAULT) -> Value:
    if name in call.kwargs:
        return call.kwargs[name]
    if position < len(call.args):
        rest = call.args[position:]
        return rest if name == "dims" and isinstance(rest[0], int) else rest[0]
    if default is _NO_DEFAULT:
        raise KeyError(name)
    return default  # type: ignore[return-value]


def _int(value: Value) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no integer")
    return value


_Rule = Callable[[Call, int, Layout], Layout | None]

_OPS: dict[str, _Rule] = {
    **dict.fromkeys(("reshape", "view", "flatten", "unflatten", "squeeze", "unsqueeze"), _reshaped),
    **dict.fromkeys(("view_as", "reshape_as"), _reshaped),
    **dict.fromkeys(("contiguous", "clone", "detach", "alias"), _same),
    **dict.fromkeys(
        ("to", "type", "type_as", "float", "double", "half", "bfloat16", "long", "int", "bool"), _same
    ),
    **dict.fromkeys(("transpose", "mT"), _transposed),
    **dict.fromkeys(("T", "t"), _reversed),
    **dict.fromkeys(("expand", "expand_as", "broadcast_to"), _expanded),
    **dict.fromkeys(("split", "chunk", "tensor_split"), _piece),
    "permute": _permuted,
    "unbind": _unbound,
    "select": _selected,
    "narrow": _narrowed,
    "getitem": _indexed,
}
_LAYERS: dict[str, _Rule] = {"Flatten": _reshaped, "Unflatten": _reshaped, "Identity": _same}
