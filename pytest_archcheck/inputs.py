"""How a user states inputs, without torch: shapes, specs and the rule that tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pytest_archcheck.errors import UsageError


@dataclass(frozen=True)
class Spec:
    """One tensor to be drawn; make it with ``spec``."""

    shape: tuple[int, ...]
    dtype: str | None = None
    low: float | None = None
    high: float | None = None


def spec(*shape: int, dtype: str | None = None, low: float | None = None, high: float | None = None) -> Spec:
    """State one input tensor: ``spec(1, 128, dtype="int64", high=32000)``.

    Args:
        shape: the whole shape, batch included.
        dtype: a name like ``"int64"``; left out, the dtype of the model's first floating parameter.
        low: smallest value; 0 for integers when left out.
        high: values stay below this; 2 for integers when left out, so that they fit any embedding.

    Raises:
        UsageError: a dimension is not an integer of at least 0, or ``high`` is not above ``low``.
    """
    if not all(type(size) is int and size >= 0 for size in shape):
        raise UsageError(
            f"spec({', '.join(map(repr, shape))}): a shape is integers of at least 0, as in spec(1, 3, 224, 224)",
            see="inputs",
        )
    if dtype is not None and not isinstance(dtype, str):
        raise UsageError(
            f'spec(…, dtype={dtype!r}): give the dtype by name, as in dtype="int64"', see="inputs"
        )
    if high is not None and high <= (low or 0):
        raise UsageError(f"spec(…, low={low or 0}, high={high}): high must be above low", see="inputs")
    return Spec(shape, dtype, low, high)


def is_shape(item: Any) -> bool:
    """Whether an item states one tensor's shape: a tuple of integers with at least one of them."""
    is_plain = isinstance(item, tuple) and not hasattr(item, "_fields")  # ``x.shape`` is one too
    return is_plain and bool(item) and all(type(size) is int for size in item)


def positional(inputs: Any) -> tuple[Any, ...]:
    """The positional arguments that ``inputs`` states.

    Raises:
        UsageError: a negative dimension, or a shape where a dimension is not an integer.
    """
    if is_shape(inputs):
        if min(inputs) < 0:
            raise UsageError(
                f"inputs={inputs}: a dimension cannot be negative; write the sizes that the model is called with",
                see="inputs",
            )
        return (tuple(inputs),)
    if type(inputs) is tuple:
        if inputs and all(isinstance(item, int | float) for item in inputs):
            raise UsageError(
                f"inputs={inputs}: a shape is a tuple of integers, as in (1, 3, 224, 224)", see="inputs"
            )
        return inputs
    return (inputs,)
