"""A structural clone: the user's model in shape, with tensors of its own.

Requirements this module meets:

* the user's model is never run and never written to: modules, containers, plain objects, bound methods and
  functions that close over any of these are copied;
* without values (meta, fake) no tensor holds data; on a device parameters share their memory, others are copied;
* a tensor that is tied stays tied, a module that is shared stays shared.
"""

from __future__ import annotations

import collections
import copy
import functools
import types
import weakref
from dataclasses import dataclass
from typing import Any, TypeVar, cast

import torch
from torch import nn
from torch.utils.hooks import RemovableHandle

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.holders import (
    ATOM_TYPES,
    ATOMS,
    RARE_CONTAINERS,
    clone_container,
    clone_function,
    clone_handle,
    copy_of_state,
    kept_in_wrapper,
    may_hold_state,
    reaches_state,
    slots_of,
)
from pytest_archcheck.recording.placements import Placement
from pytest_archcheck.recording.tree import distinct_modules
from pytest_archcheck.recording.twins import scripted_twin, twin_of

_T = TypeVar("_T")
_CONTAINER_TYPES = frozenset((dict, collections.OrderedDict, list, set))
_REGISTRIES = frozenset(("_parameters", "_buffers", "_modules"))
_HOOKS = frozenset(name for name in nn.Module().__dict__ if "hook" in name) | {"_non_persistent_buffers_set"}


@dataclass(frozen=True)
class Found:
    """A tensor or module that a module holds outside its registries: whose, and by which attribute."""

    thing: Any
    owner: nn.Module
    path: str


class Cloner:
    """Copies one model for one placement.

    Args:
        place: where the clone's tensors are.
        share: whether parameters share the user's memory where they can, to be run under a ``ParameterGuard``.

    Attributes:
        shared: the clone's parameters that share memory with the user's.
        found: tensors and modules that the clone holds in plain attributes.
        notes: what to say about it, as that a wrapper was left out.
        is_lazy: whether a parameter has no shape yet.
    """

    def __init__(self, place: Placement, share: bool = True) -> None:
        self.place = place
        self._share = share
        self.shared: list[torch.Tensor] = []
        self.found: list[Found] = []
        self.notes: list[str] = []
        self.is_lazy = False
        self._memo: dict[int, Any] = {}
        self._kept: list[Any] = []  # ids in the memo stay taken while the clone is being made
        self._model: nn.Module | None = None
        self._owner: nn.Module | None = None
        self._path: list[str] = []

    def clone(self, model: nn.Module) -> nn.Module:
        """The clone of a whole model.

        Raises:
            RecordingError: the model is scripted, or has meta tensors where values are needed.
        """
        if isinstance(model, torch.jit.ScriptModule):
            raise RecordingError(
                f"a scripted module ({type(model).__name__}) has no Python forward to record; "
                "record the module that it was scripted from",
                see="inputs",
            )
        self._model = model
        return self.module(model)

    @functools.cached_property
    def tree(self) -> set[int]:
        """Ids of the model's modules."""
        return set() if self._model is None else {id(module) for module in distinct_modules(self._model)}

    def module(self, module: nn.Module) -> nn.Module:
        """The clone of a module and of everything below it."""
        known = self.known(module)
        if known is not None:
            return cast(nn.Module, known)
        if isinstance(module, torch.jit.ScriptModule):
            return self.remember(module, scripted_twin(module, self.place))
        kept_in = kept_in_wrapper(type(module))
        if kept_in is not None:
            return self._unwrapped(module, kept_in)
        clone = self.remember(module, object.__new__(type(module)))
        outside = self._owner, self._path
        self._owner, self._path = clone, []
        held = clone.__dict__
        for name, value in module.__dict__.items():
            kind = type(value)
            if kind in ATOM_TYPES:
                held[name] = value
            elif name in _HOOKS and kind in _CONTAINER_TYPES and not value:
                held[name] = kind()
            elif name in _REGISTRIES:
                held[name] = self._registry(value)
            elif name == "_compiled_call_impl":  # of module.compile(); it would run the original
                continue
            elif name == "_graph":  # of torch.fx: the forward was generated from it
                held[name] = value
            else:
                held[name] = self._at(name, value)
        self._slots(module, clone)
        self._owner, self._path = outside
        return clone

    def value(self, value: Any) -> Any:
        """The counterpart of anything that a module holds; what has no state is shared."""
        kind = type(value)
        if kind in ATOM_TYPES or (kind is tuple and all(type(item) in ATOM_TYPES for item in value)):
            return value
        if isinstance(value, ATOMS):
            return value
        known = self.known(value)
        if known is not None:
            return known
        if kind in _CONTAINER_TYPES and not value:  # a module has a dozen empty dicts of hooks
            return self.remember(value, kind())
        if kind in weakref.ProxyTypes:  # they pass for what they refer to
            return weakref.proxy(self.value(value.__repr__.__self__))
        if isinstance(value, torch.Tensor):
            twin = self.tensor(value)
            self._note(twin)
            return twin
        if isinstance(value, nn.Module):
            return self._found_module(value)
        if isinstance(value, dict | collections.UserDict):
            return self._mapping(value)
        if isinstance(value, list | set | collections.deque):
            return self._mutable(value)
        if isinstance(value, RARE_CONTAINERS):
            return clone_container(value, self)
        if isinstance(value, tuple):
            items = [self._at(str(index), item) for index, item in enumerate(value)]
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        if isinstance(value, types.FunctionType):
            return clone_function(value, self) if reaches_state(value, self.tree) else value
        if isinstance(value, types.MethodType):
            # a function that was made a method may hold modules of its own; those of a class do not
            return types.MethodType(self.value(value.__func__), self.value(value.__self__))
        if isinstance(value, functools.partial):
            keywords = {key: self._at(key, item) for key, item in value.keywords.items()}
            arguments = [self._at(str(index), item) for index, item in enumerate(value.args)]
            return functools.partial(self.value(value.func), *arguments, **keywords)
        if isinstance(value, weakref.ref):
            target = value()
            return value if target is None else weakref.ref(self.value(target))
        if isinstance(value, functools._lru_cache_wrapper):
            inner = self.value(value.__wrapped__)
            return self.remember(value, functools.lru_cache(**value.cache_parameters())(inner))
        if isinstance(value, RemovableHandle):
            return clone_handle(value, self)
        return self._object(value)

    def tensor(self, tensor: torch.Tensor) -> torch.Tensor:
        """The counterpart of one tensor, made once."""
        known = self.known(tensor)
        if known is not None:
            return cast(torch.Tensor, known)
        twin = self.remember(tensor, twin_of(tensor, self.place, self._share))
        if nn.parameter.is_lazy(tensor):
            self.is_lazy = True
        elif self._share and self.place.has_values and isinstance(tensor, nn.Parameter):
            self.shared.append(twin)
        if tensor.__dict__:
            for name, item in tensor.__dict__.items():
                if name != "_archcheck_source":
                    twin.__dict__[name] = self.value(item)
        return twin

    def known(self, original: Any) -> Any:
        """The counterpart that something has already, or ``None``."""
        return self._memo.get(id(original))

    def remember(self, original: Any, twin: _T) -> _T:
        """Let something have this counterpart wherever it is met again."""
        self._memo[id(original)] = twin
        self._kept.append(original)
        return twin

    # -- modules -----------------------------------------------------------------------------------

    def _registry(self, registry: dict[str, Any]) -> dict[str, Any]:
        """``_parameters``, ``_buffers`` or ``_modules``: the same dict class with the counterparts."""
        if not registry and type(registry) in _CONTAINER_TYPES:
            return type(registry)()
        twin = self.remember(registry, copy.copy(registry))
        for name, item in registry.items():
            if isinstance(item, torch.Tensor):
                twin[name] = self.tensor(item)
            elif item is not None:
                twin[name] = self.module(item)
        return twin

    def _unwrapped(self, wrapper: nn.Module, kept_in: str) -> nn.Module:
        note = f"recorded without its wrapper {type(wrapper).__name__}"
        if note not in self.notes:
            self.notes.append(note)
        inner = self.module(cast(nn.Module, wrapper._modules[kept_in]))
        inner.__dict__.setdefault(kept_in, inner)  # a forward that reaches through the wrapper finds itself
        return self.remember(wrapper, inner)

    def _slots(self, original: Any, twin: Any) -> None:
        for key, name, held in slots_of(original):
            object.__setattr__(twin, key, self._at(name, held))

    # -- what modules hold -------------------------------------------------------------------------

    def _mapping(self, value: Any) -> Any:
        twin = self.remember(value, copy.copy(value))
        keyed_by_state = any(isinstance(key, nn.Module | torch.Tensor | tuple | frozenset) for key in value)
        if keyed_by_state:
            twin.clear()
        for key, item in value.items():
            changed = self._at(key if isinstance(key, str) else type(key).__name__, item)
            if keyed_by_state:
                twin[self.value(key)] = changed
            elif changed is not item:
                twin[key] = changed
        if isinstance(value, dict) and getattr(value, "__dict__", None):
            for name, item in vars(value).items():
                twin.__dict__[name] = self._at(name, item)
        return twin

    def _mutable(self, value: Any) -> Any:
        twin = self.remember(value, copy.copy(value))
        twin.clear()
        for index, item in enumerate(value):
            (twin.add if isinstance(twin, set) else twin.append)(self._at(str(index), item))
        return twin

    def _object(self, value: Any) -> Any:
        """A plain object, with counterparts of what it holds; C objects and singletons are shared."""
        copied = copy_of_state(value)
        if copied is not None:
            return self.remember(value, copied)
        if not may_hold_state(value):
            return self.remember(value, value)
        try:
            twin = object.__new__(type(value))
        except TypeError:  # a subclass of something made in C
            twin = copy.copy(value)
        self.remember(value, twin)
        for name, item in getattr(value, "__dict__", {}).items():
            object.__setattr__(twin, name, self._at(name, item))
        self._slots(value, twin)
        return twin

    # -- names -------------------------------------------------------------------------------------

    def _at(self, step: str, value: Any) -> Any:
        self._path.append(step)
        twin = self.value(value)
        self._path.pop()
        return twin

    def _note(self, thing: Any) -> None:
        if self._owner is not None:
            self.found.append(Found(thing, self._owner, ".".join(self._path)))

    def _found_module(self, module: nn.Module) -> nn.Module:
        owner, path = self._owner, ".".join(self._path)
        if owner is None:
            return self.module(module)
        place = len(self.found)
        self.found.append(Found(None, owner, path))  # before what it holds itself
        twin = self.module(module)
        self.found[place] = Found(twin, owner, path)
        return twin
