"""Dimensions that follow from others: ``H/32``, ``2*L-1``, ``(H/16)*(W/16)+1``, ``ceil(H/32)``, ``H//2``."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from fractions import Fraction
from math import ceil

from pytest_archcheck.errors import UsageError

_OPERATORS: dict[type[ast.operator], Callable[[Fraction, Fraction], Fraction]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.Div: lambda a, b: a / b,
    ast.FloorDiv: lambda a, b: Fraction(a // b),
}


class Term:
    """A dimension worked out from named ones.

    ``/`` is exact, ``//`` rounds down and ``ceil(…)`` up, as strided layers with padding do.

    Raises:
        UsageError: the text is no such term.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        try:
            self._tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            self._tree = ast.Constant(None)
        self.names = {
            node.id for node in ast.walk(self._tree) if isinstance(node, ast.Name) and node.id != "ceil"
        }
        if not _is_term(self._tree):
            raise UsageError(
                f"{text!r} is no dimension; write a number, a name, or a term like H/32, ceil(H/32), H//2 or 2*L-1",
                see="arch_shapes_for",
            )

    def at(self, sizes: Mapping[str, int]) -> int:
        """The dimension for given sizes.

        Raises:
            UsageError: it is no whole number, or a division by zero.
        """
        where = ", ".join(f"{name}={sizes[name]}" for name in sorted(self.names))
        try:
            found = _value(self._tree, sizes)
        except ZeroDivisionError:
            raise UsageError(
                f"{self.text} with {where} divides by zero; leave that size out", see="arch_shapes_for"
            ) from None
        if found.denominator != 1:
            raise UsageError(
                f"{self.text} with {where} is {float(found):g}, no whole number; write {self.text.replace('/', '//')} "
                f"to round down or ceil({self.text}) to round up",
                see="arch_shapes_for",
            )
        return int(found)

    def __str__(self) -> str:
        return self.text


def _is_term(node: ast.expr) -> bool:
    if isinstance(node, ast.BinOp):
        return type(node.op) in _OPERATORS and _is_term(node.left) and _is_term(node.right)
    if isinstance(node, ast.Call):
        is_ceil = isinstance(node.func, ast.Name) and node.func.id == "ceil"
        return is_ceil and len(node.args) == 1 and not node.keywords and _is_term(node.args[0])
    return isinstance(node, ast.Name) or (isinstance(node, ast.Constant) and type(node.value) is int)


def _value(node: ast.expr, sizes: Mapping[str, int]) -> Fraction:
    if isinstance(node, ast.BinOp):
        return _OPERATORS[type(node.op)](_value(node.left, sizes), _value(node.right, sizes))
    if isinstance(node, ast.Call):
        return Fraction(ceil(_value(node.args[0], sizes)))
    if isinstance(node, ast.Name):
        return Fraction(sizes[node.id])
    assert isinstance(node, ast.Constant)
    assert isinstance(node.value, int)
    return Fraction(node.value)
