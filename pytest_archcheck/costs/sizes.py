"""How many parameters, and how many bytes; tied tensors count once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pytest_archcheck.records import StateTensor

_BYTES = {
    "float64": 8,
    "float32": 4,
    "float16": 2,
    "bfloat16": 2,
    "complex64": 8,
    "complex128": 16,
    "int64": 8,
    "int32": 4,
    "int16": 2,
    "int8": 1,
    "uint8": 1,
    "bool": 1,
    "qint8": 1,
    "quint8": 1,
    "qint32": 4,
    "complex32": 4,
    "uint16": 2,
    "uint32": 4,
    "uint64": 8,
}


@dataclass(frozen=True, slots=True)
class ParameterCount:
    """Elements of parameters and buffers."""

    total: int
    trainable: int
    buffers: int

    @property
    def frozen(self) -> int:
        """Parameters that do not require a gradient."""
        return self.total - self.trainable


def count_parameters(state: Iterable[StateTensor]) -> ParameterCount:
    """Elements in a state, tied tensors once."""
    total = trainable = buffers = 0
    for tensor in state:
        if tensor.tied_to is not None or tensor.kind not in ("param", "buffer"):
            continue
        if tensor.kind == "buffer":
            buffers += tensor.spec.numel
            continue
        total += tensor.spec.numel
        trainable += tensor.spec.numel if tensor.trainable else 0
    return ParameterCount(total, trainable, buffers)


def state_bytes(state: Iterable[StateTensor]) -> int:
    """Bytes of the tensors that the state dict saves, tied ones once; a file adds its headers."""
    return sum(
        tensor.spec.numel * dtype_bytes(tensor.spec.dtype)
        for tensor in state
        if tensor.saved and tensor.tied_to is None and tensor.kind in ("param", "buffer")
    )


def dtype_bytes(dtype: str) -> int:
    """Bytes of one element; every 8-bit float is one."""
    return _BYTES.get(dtype, 1 if dtype.startswith("float8") else 4)
