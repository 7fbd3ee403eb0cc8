"""``arch_output`` and ``arch_shapes``: shapes with named dimensions, of the output and of layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import EllipsisType
from typing import TypeAlias

from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.invariants.patterns import compiled, no_match
from pytest_archcheck.records import Call, LayerCall, TensorSpec
from pytest_archcheck.traces import Trace

Dim: TypeAlias = int | str | EllipsisType
Shape: TypeAlias = tuple[Dim, ...]


class OutputShape:
    """The main output has this shape, batch included: ``OutputShape("B", 1000)``.

    ``path`` names another output than the first, as in ``path="aux"`` or ``path="[1]"``.

    Raises:
        UsageError: a dimension is no integer, name or ``...``.
    """

    def __init__(self, *shape: Dim, path: str | None = None) -> None:
        self.shape = checked_shape(shape)
        self.path = path

    def claims(self) -> Mapping[str, object]:
        """The shape, for each output by itself."""
        return {f"shape of the output {self.path or ''}".strip(): self.shape}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation where the shape differs, or where there is no such output."""
        output: TensorSpec = trace.output
        if self.path is not None:
            found = [o for o in trace.outputs if o.path.lstrip(".") == self.path.lstrip(".")]
            if not found:
                paths = ", ".join(repr(o.path.lstrip(".")) if o.path else "one" for o in trace.outputs)
                yield Violation(
                    "the outputs",
                    f"an output {self.path!r}",
                    f"{paths}" if trace.output.path else "one, without a name",
                    "",
                    "name one that is there, or leave path= out; or mend the forward",
                )
                return
            output = found[0]
        where = f"the output {self.path or ''}".strip()
        why = mismatch(self.shape, output.shape, context, where)
        if why:
            yield Violation(
                where, shape_text(self.shape), shape_text(output.shape), why, "state that, or mend the model"
            )


class Shapes:
    """Layers have these output shapes: ``Shapes({"layer2.*": ("B", 128, 28, 28)})``.

    In a pattern ``*`` stays between dots and ``**`` crosses them; with a colon it is matched against ops, as in
    ``"layer1.*:add"``. Every call that matches must fit; a pattern that matches nothing is a violation.

    Raises:
        UsageError: nothing is stated, or a shape is none.
    """

    def __init__(self, shapes: Mapping[str, Shape], /) -> None:
        if not isinstance(shapes, Mapping) or not shapes:
            raise UsageError(
                'give a dict of name patterns and shapes, as in {"layer2.*": ("B", 128, 28, 28)}, '
                f"not {shapes!r}",
                see="arch_shapes",
            )
        self.shapes = {str(name): checked_shape(shape) for name, shape in shapes.items()}

    def claims(self) -> Mapping[str, object]:
        """The shape, for each pattern by itself."""
        return {f"shape of {pattern}": shape for pattern, shape in self.shapes.items()}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each call that does not fit and for each pattern without a match."""
        for pattern, shape in self.shapes.items():
            calls = list(matching(trace, pattern))
            if not calls:
                yield _no_match(trace, pattern)
            for call in calls:
                why = mismatch(shape, call.output.shape, context, call.id)
                if why:
                    yield Violation(
                        call.id,
                        shape_text(shape),
                        shape_text(call.output.shape),
                        f"{why} (pattern {pattern!r})",
                        "state that, or mend the model",
                    )


def matching(trace: Trace, pattern: str) -> Iterator[Call]:
    """The calls whose name a pattern matches, in order of execution."""
    expression = compiled(pattern)
    for call in trace.calls:
        if isinstance(call, LayerCall) == (":" in pattern) or not call.outputs:
            continue
        if expression.fullmatch(call.name) or expression.fullmatch(call.id):
            yield call


def _no_match(trace: Trace, pattern: str) -> Violation:
    idle = any(module.name == pattern for module in trace.modules)
    why = "it is declared and was not called" if idle else ""
    names = [call.name for call in trace.calls]
    return no_match(pattern, "a layer of that name", "none ran", why, names, "trace.layers")


def checked_shape(shape: object) -> Shape:
    """The shape itself, if it is one.

    Raises:
        UsageError: it is no tuple of integers, names and at most one ``...``.
    """
    if isinstance(shape, list):
        shape = tuple(shape)
    if not isinstance(shape, tuple):
        raise UsageError(f'a shape is a tuple, as in ("B", 128, 28, 28), not {shape!r}', see="arch_shapes")
    for dim in shape:
        is_size = type(dim) is int and dim >= 0
        is_name = isinstance(dim, str) and dim.isidentifier()
        if not (is_size or is_name or dim is ...):
            raise UsageError(
                f"{dim!r} in {shape!r} is no dimension: write an integer, a name like "
                '"B" that is the same number wherever it stands, or ...',
                see="arch_shapes",
            )
    if shape.count(...) > 1:
        raise UsageError(f"{shape!r}: ... can stand once in a shape; write the others out", see="arch_shapes")
    return shape


def mismatch(shape: Shape, found: tuple[int, ...], context: Context, where: str) -> str:
    """Why a found shape is not the stated one; empty when it is. Names are bound on the way."""
    if ... in shape:
        at = shape.index(...)
        tail = len(shape) - at - 1
        if len(found) < at + tail:
            return f"{len(found)} dimensions are too few"
        shape = shape[:at] + found[at : len(found) - tail] + shape[at + 1 :]
    if len(shape) != len(found):
        return f"{len(found)} dimensions, not {len(shape)}"
    for position, (dim, size) in enumerate(zip(shape, found, strict=True)):
        if isinstance(dim, str):
            contradiction = context.bind(dim, size, where)
            if contradiction:
                return f"dimension {position} is {size}, but {contradiction}"
        elif dim != size:
            return f"dimension {position} is {size}, not {dim}"
    return ""


def shape_text(shape: Shape) -> str:
    """Spell a shape: ``(B, 128, 28, 28)``."""
    return f"({', '.join('...' if dim is ... else str(dim) for dim in shape)})"
