"""What a clone consists of: the records of its modules, parameters, buffers and other tensors, by name."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Iterator

import torch
from torch import nn

from pytest_archcheck.recording.clone import Found
from pytest_archcheck.recording.config import Configs, is_atomic, saves_more, type_name
from pytest_archcheck.recording.repeats import LISTED
from pytest_archcheck.recording.tree import named_modules
from pytest_archcheck.recording.values import spec_of, tensor_leaves
from pytest_archcheck.records import Module, StateTensor


class Owner:
    """What the record says of one module of the clone."""

    __slots__ = ("_cls", "atomic", "calls", "hidden", "module", "repeats", "state")

    def __init__(
        self, cls: type, record: Module, atomic: bool, state: tuple[StateTensor, ...], hidden: bool = False
    ) -> None:
        self._cls = cls
        self.module = record
        self.atomic = atomic
        self.state = state
        self.hidden = hidden
        self.calls = 0
        self.repeats = atomic and not hidden and cls in LISTED
        """Whether a call of it may be skipped where an equal layer did the same before."""

    def call_id(self, number: int) -> str:
        """The id of one of its calls."""
        name = self.module.name or "."
        return name if number == 1 else f"{name}#{number}"

    @property
    def keywords(self) -> tuple[str, ...]:
        """The forward's arguments in their own order: that of a call's keywords is no architecture."""
        return parameter_names(self._cls.forward)  # type: ignore[attr-defined]


@functools.cache
def parameter_names(function: Callable[..., object]) -> tuple[str, ...]:
    """The names of a function's parameters; none where it does not say."""
    try:
        return tuple(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return ()


class Inventory:
    """Every module and tensor that a clone holds.

    A module in a plain list, say, is hidden: neither the state dict nor an optimizer sees it. It is named by the
    attribute that holds it and belongs to the record only where the forward uses it, and so do tensors in plain
    attributes.

    Args:
        clone: the root.
        found: what its modules hold outside their registries.
    """

    def __init__(self, clone: nn.Module, found: Iterable[Found]) -> None:
        self.owners: dict[nn.Module, Owner] = {}
        self.tensors: dict[int, StateTensor] = {}
        """Parameters and buffers by id."""
        self.hidden: dict[int, StateTensor] = {}
        """Tensors of hidden modules and of plain attributes by id."""
        self._clone = clone
        self._configs = Configs()
        self._held: list[torch.Tensor] = []  # an id stays theirs while the forward runs
        self._first: dict[int, str] = {}
        state: list[StateTensor] = []
        modules: list[Module] = []
        for name, module in named_modules(clone):
            own: list[StateTensor] = []
            for tensor, record in self._state_of(name, module):
                self.tensors.setdefault(id(tensor), record)
                own.append(record)
            state += own
            modules.append(self._add(name, module, own))
        self.state = tuple(state)
        self.modules = tuple(modules)
        self._add_found(found)

    @property
    def called_hidden(self) -> tuple[Module, ...]:
        """The hidden modules that were called."""
        return tuple(owner.module for owner in self.owners.values() if owner.hidden and owner.calls)

    def _add(self, name: str, module: nn.Module, own: list[StateTensor], hidden: bool = False) -> Module:
        known = self.owners.get(module)
        if known is not None:
            return Module(name, known.module.type, {}, same_as=known.module.name)
        config = self._configs.of(module)
        if module.training != self._clone.training:  # a frozen batch norm, a dropout that stays on
            config = {**config, "training": module.training}
        record = Module(name, type_name(type(module)), config)
        self.owners[module] = Owner(type(module), record, is_atomic(module), tuple(own), hidden)
        return record

    def _add_found(self, found: Iterable[Found]) -> None:
        names = {owner.module.name for owner in self.owners.values()}
        for item in found:
            base = self.owners[item.owner].module.name
            path = f"{base}.{item.path}" if base else item.path
            if isinstance(item.thing, torch.Tensor):
                if id(item.thing) not in self.tensors and id(item.thing) not in self.hidden:
                    self._held.append(item.thing)
                    self.hidden[id(item.thing)] = StateTensor(path, "const", spec_of(item.thing), saved=False)
                continue
            while path in names:
                path += "+"
            for name, module in named_modules(item.thing, path):
                if module not in self.owners:
                    names.add(name)
                    own = []
                    for tensor, record in self._state_of(name, module, hidden=True):
                        self.hidden.setdefault(id(tensor), record)
                        own.append(record)
                    self._add(name, module, own, hidden=True)

    def _state_of(
        self, prefix: str, module: nn.Module, hidden: bool = False
    ) -> Iterator[tuple[torch.Tensor, StateTensor]]:
        for kind, tensors in (("param", module._parameters), ("buffer", module._buffers)):
            if not tensors:
                continue
            unsaved = getattr(module, "_non_persistent_buffers_set", ())
            for key, tensor in tensors.items():
                if tensor is None:
                    continue
                self._held.append(tensor)
                name = f"{prefix}.{key}" if prefix else key
                first = self._first.setdefault(id(tensor), name)
                trainable = kind == "param" and tensor.requires_grad
                saved = not hidden and key not in unsaved
                stored = getattr(tensor, "_archcheck_stored", None)
                tied_to = None if first is name else first
                yield tensor, StateTensor(name, kind, spec_of(tensor), trainable, tied_to, saved, stored)
        if saves_more(type(module)):
            yield from _packed(prefix, module, saved=not hidden)


def _packed(prefix: str, module: nn.Module, *, saved: bool) -> Iterator[tuple[torch.Tensor, StateTensor]]:
    """What a module saves beside parameters and buffers, as quantized layers do: weights, scales, zero points."""
    state: dict[str, object] = {}
    module._save_to_state_dict(state, f"{prefix}." if prefix else "", keep_vars=True)
    seen: dict[int, torch.Tensor] = {}  # held, as the address of one that is gone would be another's
    for key, value in state.items():
        own = key.removeprefix(prefix).lstrip(".")
        if own in module._parameters or own in module._buffers:
            continue
        for path, tensor in _inside(value):
            if tensor.data_ptr() not in seen or not tensor.data_ptr():
                seen[tensor.data_ptr()] = tensor
                stored = _quantized_bytes(tensor) if tensor.is_quantized else None
                yield (
                    tensor,
                    StateTensor(f"{key}{path}", "packed", spec_of(tensor), saved=saved, stored=stored),
                )


def _inside(value: object, path: str = "") -> Iterator[tuple[str, torch.Tensor]]:
    """The tensors in a saved value; recurrent layers keep objects of C++, which say what they hold."""
    if isinstance(value, torch.ScriptObject):
        yield from _inside(value.__getstate__(), path)
    elif isinstance(value, tuple | list):
        for index, item in enumerate(value):
            yield from _inside(item, f"{path}[{index}]")
    else:
        yield from tensor_leaves(value, path)


def _quantized_bytes(tensor: torch.Tensor) -> int | None:
    """Elements, and for each channel a scale and a zero point; ``None`` where there are no channels."""
    if tensor.qscheme() in (torch.per_tensor_affine, torch.per_tensor_symmetric):
        return None
    channels = (tensor.q_per_channel_scales(), tensor.q_per_channel_zero_points())
    return tensor.nelement() * tensor.element_size() + sum(values.nbytes for values in channels)
