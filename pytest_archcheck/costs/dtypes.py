"""Bytes of one element, by dtype."""

from __future__ import annotations

import re

from pytest_archcheck.records import TensorSpec

_BYTES = {"bool": 1, "float4_e2m1fn_x2": 1, "quint4x2": 1, "quint2x4": 1}
_BITS = re.compile(r"(b?complex|b?float|q?u?int|bits)(\d+)")


def bytes_of(spec: TensorSpec) -> int:
    """Bytes of a tensor's elements: ``float8_e4m3fn`` is one byte each, and what is smaller than a byte takes one.

    A ragged tensor, of which one size is not known, counts nothing.

    Raises:
        ValueError: the dtype says nothing of its size.
    """
    known = _BYTES.get(spec.dtype)
    if known is None:
        match = _BITS.match(spec.dtype)
        if match is None:
            raise ValueError(f"the size of {spec.dtype} is not known")
        known = -(-int(match[2]) // 8)
        _BYTES[spec.dtype] = known
    return max(spec.numel, 0) * known
