"""One recording for all tests that put the same factory and the same inputs under test.

A trace is shared only where a second recording could not be another one:

* the model comes from a factory that built it for this recording and kept nothing of it;
* the inputs are shapes, specs and plain values: a tensor may be written to between two tests;
* the environment and torch's default dtype are the same, and no fixture of the test replaces things.
"""

from __future__ import annotations

import functools
import os
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Collection, Hashable, Mapping
from typing import TYPE_CHECKING, Any

from pytest_archcheck.inputs import Spec

if TYPE_CHECKING:
    from pytest_archcheck.traces import Trace

_KEPT = 64
"""How many traces are kept, those used last; one of an EfficientNet-B7 takes 4 MB."""
_PLAIN = (bool, int, float, str, type(None), Spec)
_REPLACING = frozenset(
    ("monkeypatch", "mocker", "class_mocker", "module_mocker", "package_mocker", "session_mocker")
)


class _NotShared(Exception):
    """A part of what is asked for cannot be part of a key."""


class SharedTraces:
    """The traces of one test session."""

    def __init__(self) -> None:
        self._traces: OrderedDict[Hashable, Trace] = OrderedDict()

    def trace(
        self,
        model: Any,
        inputs: Any,
        *,
        kwargs: Mapping[str, Any] | None,
        device: str,
        train: bool,
        fixtures: Collection[str] = (),
    ) -> Trace:
        """What ``recording.trace`` gives, from memory where that is sure to be the same.

        Args:
            model: a module, or a factory that builds one; of a module every recording is a new one.
            inputs: see ``recording.trace``, as for ``kwargs``, ``device`` and ``train``.
            kwargs: keyword arguments of the forward.
            device: where to record.
            train: record in training mode.
            fixtures: the names of all fixtures that the test uses.
        """
        from pytest_archcheck.recording import trace

        record = functools.partial(trace, inputs=inputs, kwargs=kwargs, device=device, train=train)
        key = None if _REPLACING.intersection(fixtures) else _key(model, (inputs, kwargs, device, train))
        if key is None:
            return record(model)
        known = self._traces.get(key)
        if known is None:
            factory = _Watched(model)
            known = record(factory)
            if factory.keeps_a_model:
                return known
            self._traces[key] = known
            if len(self._traces) > _KEPT:
                self._traces.popitem(last=False)
        self._traces.move_to_end(key)
        return known


class _Watched:
    """A factory that knows afterwards whether what it built is gone: one that is not may be changed by a test."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.__wrapped__ = factory
        self.__qualname__ = getattr(factory, "__qualname__", repr(factory))
        self._built: list[weakref.ref[Any]] = []

    def __call__(self) -> Any:
        model = self.__wrapped__()
        self._built.append(weakref.ref(model))
        return model

    @property
    def keeps_a_model(self) -> bool:
        """Whether one of the built models is alive."""
        return any(built() is not None for built in self._built)


def _key(model: Any, stated: Any) -> Hashable:
    """What a recording depends on, ``None`` where that cannot be said."""
    import torch

    if isinstance(model, torch.nn.Module):
        return None
    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    try:
        key = (_factory(model), _frozen(stated), _frozen(environment), torch.get_default_dtype())
        hash(key)
    except (_NotShared, TypeError, ValueError):  # without a hash, a cell that is empty
        return None
    return key


def _factory(factory: Any) -> Hashable:
    """A factory with what it was made with; the key holds it, so that no other can have its id."""
    if isinstance(factory, functools.partial):
        return ("partial", _factory(factory.func), _frozen(factory.args), _frozen(factory.keywords))
    if not isinstance(factory, type | types.FunctionType | types.BuiltinFunctionType):
        raise _NotShared  # an object that may change, or a method of one
    cells = getattr(factory, "__closure__", None) or ()
    return (factory, tuple(_frozen(cell.cell_contents) for cell in cells))


def _frozen(value: Any) -> Hashable:
    if isinstance(value, _PLAIN):
        return (type(value).__name__, value)
    if isinstance(value, tuple | list):
        return (type(value).__name__, tuple(map(_frozen, value)))
    if isinstance(value, Mapping):
        return (type(value).__name__, tuple((key, _frozen(item)) for key, item in value.items()))
    return _factory(value)
