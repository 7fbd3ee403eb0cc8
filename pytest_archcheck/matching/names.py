"""Which name of one model's state dict is which of another's."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from difflib import get_close_matches
from functools import cached_property
from typing import TypeVar

from pytest_archcheck.errors import UsageError, noted
from pytest_archcheck.records import StateTensor
from pytest_archcheck.traces import Trace

T = TypeVar("T")
Group = tuple[tuple[str, ...], tuple[str, ...]]
"""The names of one tensor in the one model and in the other: several where it is tied."""


class NameMapping(Mapping[str, str]):
    """Each name of one model's state dict with its name in another's."""

    def __init__(self, groups: Sequence[Group]) -> None:
        self._groups = tuple(groups)
        self._names = {
            name: others[min(place, len(others) - 1)]
            for names, others in self._groups
            for place, name in enumerate(names)
        }

    def __getitem__(self, name: str) -> str:
        if name not in self._names:
            raise noted(KeyError(self._unknown(name)), "structure")
        return self._names[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def _unknown(self, name: object) -> str:
        near = get_close_matches(str(name), self._names, n=1)
        hint = f"; the nearest is {near[0]!r}" if near else "; list(mapping) has them"
        other = (
            "; it is a name of the other model: use mapping.inverse" if name in self.inverse._names else hint
        )
        return f"{name!r} is no name of the model that this mapping renames from{other}"

    def rename(self, state: Mapping[str, T]) -> OrderedDict[str, T]:
        """A state dict of the one model, or a part of it, under the names of the other.

        The values are handed on as they are. A tied tensor comes under each of its names. The versions of modules that
        torch keeps with a state dict go along, and so does the extra state of a module that owns parameters.

        Raises:
            UsageError: a name is none of the one model's.
        """
        extra = [
            name for name in state if name.rpartition(".")[2] == _EXTRA and _owner(name)[0] in self._modules
        ]
        for name in state:
            if name not in self._names and name not in extra:
                raise UsageError(self._unknown(name), see="structure")
        renamed: OrderedDict[str, T] = OrderedDict()
        for names, others in self._groups:
            value = next((state[name] for name in names if name in state), _MISSING)
            if value is not _MISSING:
                renamed |= dict.fromkeys(others, value)  # type: ignore[arg-type]
        for name in extra:
            renamed[f"{self._modules[name.removesuffix(_EXTRA).rstrip('.')]}.{_EXTRA}".lstrip(".")] = state[
                name
            ]
        versions = getattr(state, "_metadata", None)
        if versions is not None:
            renamed._metadata = {  # type: ignore[attr-defined]
                self._modules[module]: version
                for module, version in versions.items()
                if module in self._modules
            }
        return renamed

    @cached_property
    def _modules(self) -> dict[str, str]:
        """The modules that own paired tensors of the same last name, and what holds all."""
        pairs = {"": ""}
        for names, others in self._groups:
            for (one, last), (other, same) in zip(map(_owner, names), map(_owner, others), strict=False):
                if last == same:
                    pairs.setdefault(one, other)
        return pairs

    @property
    def inverse(self) -> NameMapping:
        """The mapping the other way round."""
        return NameMapping([(others, names) for names, others in self._groups])

    def __repr__(self) -> str:
        return f"NameMapping({self._names!r})"


_MISSING = object()
_EXTRA = "_extra_state"


def _owner(name: str) -> tuple[str, str]:
    """The module that a name belongs to, and the last part of the name."""
    owner, _, last = name.rpartition(".")
    return owner, last


def map_names(
    trace: Trace, reference: Trace, pairs: Mapping[str, str]
) -> tuple[NameMapping, list[tuple[str, str, str, str, str]]]:
    """The mapping that pairs of tensors give, and the tensors that no call uses and that have no counterpart.

    Tensors that no call uses are paired in order with those of the same kind and shape. Each of the others comes as
    layer, layer of the reference, attribute, found and expected.
    """
    tied = [_tied(trace), _tied(reference)]
    groups = [(tied[0][one], tied[1][other]) for one, other in pairs.items() if one in tied[0]]
    idle = [_idle(trace, set(pairs)), _idle(reference, set(pairs.values()))]
    differences: list[tuple[str, str, str, str, str]] = []
    for one in idle[0]:
        alike = next((other for other in idle[1] if _kind(other) == _kind(one)), None)
        if alike is None:
            differences.append((one.name, "", "not used by any call:", _kind(one), "absent"))
        else:
            idle[1].remove(alike)
            groups.append((tied[0][one.name], tied[1][alike.name]))
    differences += [("", other.name, "not used by any call:", "absent", _kind(other)) for other in idle[1]]
    return NameMapping(groups), differences


def _tied(trace: Trace) -> dict[str, tuple[str, ...]]:
    """The saved names of each tensor, by its first name."""
    groups: dict[str, tuple[str, ...]] = {}
    for tensor in trace.state:
        if tensor.kind in ("param", "buffer") and tensor.saved:
            first = tensor.tied_to or tensor.name
            groups[first] = (*groups.get(first, ()), tensor.name)
    return groups


def _idle(trace: Trace, used: set[str]) -> list[StateTensor]:
    return [
        tensor
        for tensor in trace.state
        if tensor.kind in ("param", "buffer")
        and tensor.saved
        and tensor.tied_to is None
        and tensor.name not in used
    ]


def _kind(tensor: StateTensor) -> str:
    trained = "" if tensor.trainable or tensor.kind != "param" else " frozen"
    return f"{tensor.kind} {tensor.spec.dtype} {list(tensor.spec.shape)}{trained}"
