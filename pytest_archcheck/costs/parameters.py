"""How many parameters, and how many bytes; tied tensors count once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from pytest_archcheck.costs.dtypes import bytes_of
from pytest_archcheck.records import StateTensor, lineage


@dataclass(frozen=True)
class ParameterCount:
    """Elements of parameters and buffers, tied ones once; ``state`` are the tensors that were counted."""

    total: int
    trainable: int
    buffers: int
    state: tuple[StateTensor, ...] = field(repr=False, compare=False, default=())

    @property
    def frozen(self) -> int:
        """Parameters that do not require a gradient."""
        return self.total - self.trainable

    @property
    def bytes(self) -> int:
        """Bytes of the parameters."""
        return sum(stored_bytes(tensor) for tensor in self._once("param"))

    @property
    def buffer_bytes(self) -> int:
        """Bytes of the buffers, those that the state dict leaves out included."""
        return sum(stored_bytes(tensor) for tensor in self._once("buffer"))

    @property
    def per_dtype(self) -> Mapping[str, int]:
        """Parameters by dtype, the most first."""
        counts: Counter[str] = Counter()
        for tensor in self._once("param"):
            counts[tensor.spec.dtype] += tensor.spec.numel
        return dict(counts.most_common())

    @property
    def per_module(self) -> Mapping[str, int]:
        """For every module that holds parameters, its own and its children's, by name; ``""`` is the whole model.

        What is tied counts once in each module that holds it.
        """
        return _by_module(self.state, lambda tensor: tensor.spec.numel if tensor.kind == "param" else 0)

    @property
    def shared(self) -> tuple[tuple[str, ...], ...]:
        """The names of every parameter or buffer that has several."""
        groups: dict[str, list[str]] = {}
        for tensor in self.state:
            groups.setdefault(tensor.tied_to or tensor.name, []).append(tensor.name)
        return tuple(tuple(names) for names in groups.values() if len(names) > 1)

    def _once(self, kind: str) -> Iterable[StateTensor]:
        return (tensor for tensor in self.state if tensor.kind == kind and tensor.tied_to is None)


def count_parameters(state: Iterable[StateTensor]) -> ParameterCount:
    """Elements in a state, tied tensors once."""
    counted = tuple(tensor for tensor in state if tensor.kind in ("param", "buffer"))
    total = trainable = buffers = 0
    for tensor in counted:
        if tensor.tied_to is not None:
            continue
        if tensor.kind == "buffer":
            buffers += tensor.spec.numel
            continue
        total += tensor.spec.numel
        trainable += tensor.spec.numel if tensor.trainable else 0
    return ParameterCount(total, trainable, buffers, counted)


def state_bytes(state: Iterable[StateTensor]) -> int:
    """Bytes of the tensors that the state dict saves, tied ones once; a file adds its headers."""
    return sum(stored_bytes(tensor) for tensor in state if _is_saved(tensor) and tensor.tied_to is None)


def state_bytes_per_module(state: Iterable[StateTensor]) -> Mapping[str, int]:
    """The same for every module with its children, by name; what is tied counts once in each."""
    return _by_module(state, lambda tensor: stored_bytes(tensor) if _is_saved(tensor) else 0)


def stored_bytes(tensor: StateTensor) -> int:
    """Bytes of a tensor as it is stored: all its elements, or those that a sparse one has."""
    return bytes_of(tensor.spec) if tensor.stored is None else tensor.stored


def _is_saved(tensor: StateTensor) -> bool:
    return tensor.saved and tensor.kind in ("param", "buffer", "packed")


def _by_module(state: Iterable[StateTensor], measure: Callable[[StateTensor], int]) -> Mapping[str, int]:
    sums: Counter[str] = Counter()
    seen: set[tuple[str, str]] = set()
    for tensor in state:
        size = measure(tensor)
        for module in lineage(tensor.name.rpartition(".")[0]) if size else ():
            key = (module, tensor.tied_to or tensor.name)
            if key not in seen:
                seen.add(key)
                sums[module] += size
    return dict(sums)
