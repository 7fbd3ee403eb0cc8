"""One recording for all tests that put the same factory and the same inputs under test.

A trace is shared only between tests for which nothing was set up that could make the recording another one:

* all fixtures of the test are pytest's, syrupy's, xdist's or ours, and none of them replaces things;
* the model comes from a factory that built it for this recording and kept no part of it;
* the inputs are shapes, specs and plain values: a tensor may be written to between two tests;
* the environment and torch's default dtype are the same.
"""

from __future__ import annotations

import enum
import functools
import os
import types
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable, Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any, cast

from pytest_archcheck.inputs import Spec

if TYPE_CHECKING:
    from pytest_archcheck.traces import Trace

_KEPT = 64
"""How many traces are kept, those used last; one of an EfficientNet-B7 takes 4 MB."""
_PLAIN = (bool, int, float, str, type(None), Spec)


class _NotShared(Exception):
    """A part of what is asked for cannot be part of a key."""


class SharedTraces:
    """The traces of one test session."""

    def __init__(self) -> None:
        self._traces: OrderedDict[Hashable, Trace] = OrderedDict()
        self.seconds: float | None = None
        """How long the recording took that was asked for last; ``None`` if there was no need for one."""

    def trace(
        self,
        model: Any,
        inputs: Any,
        *,
        kwargs: Mapping[str, Any] | None,
        device: str,
        train: bool,
        sets_up: bool = False,
    ) -> Trace:
        """What ``recording.trace`` gives, from memory where that is sure to be the same.

        Args:
            model: a module, or a factory that builds one; of a module every recording is a new one.
            inputs: see ``recording.trace``, as for ``kwargs``, ``device`` and ``train``.
            kwargs: keyword arguments of the forward.
            device: where to record.
            train: record in training mode.
            sets_up: whether the test has fixtures that might change what is recorded.
        """
        from pytest_archcheck.recording import trace

        def record(model: Any) -> Trace:
            start = perf_counter()
            found = trace(model, inputs, kwargs=kwargs, device=device, train=train)
            self.seconds = perf_counter() - start
            return found

        self.seconds = None
        key = None if sets_up else _key(model, (inputs, kwargs, device, train))
        if key is None:
            return record(model)
        known = self._traces.get(key)
        if known is None:
            factory = _Watched(model)
            known = record(factory)
            if factory.keeps_a_part:
                return known
            self._traces[key] = known
            if len(self._traces) > _KEPT:
                self._traces.popitem(last=False)
        self._traces.move_to_end(key)
        return known


class _Watched:
    """A factory that knows afterwards whether all it built is gone: what is not may be changed by a test."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        self.__wrapped__ = factory
        self.__qualname__ = getattr(factory, "__qualname__", repr(factory))
        self._built: list[weakref.ref[Any]] = []

    def __call__(self) -> Any:
        model = self.__wrapped__()
        parts = (
            (model, *model.modules(), *model.parameters(), *model.buffers())
            if hasattr(model, "modules")
            else ()
        )
        self._built += map(weakref.ref, parts)
        return model

    @property
    def keeps_a_part(self) -> bool:
        """Whether a module or tensor that it built is alive."""
        return any(built() is not None for built in self._built)


def _key(model: Any, stated: Any) -> Hashable:
    """What a recording depends on, ``None`` where that cannot be said."""
    from pytest_archcheck.recording import default_dtype

    environment = {name: value for name, value in os.environ.items() if name != "PYTEST_CURRENT_TEST"}
    try:
        key = (_factory(model), _frozen(stated), _frozen(environment), default_dtype())
        hash(key)
    except (_NotShared, RecursionError, TypeError, ValueError):
        return None  # an object that may change, a function within itself, no hash, an empty cell
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
    kind: Hashable = cast(Hashable, type(value))
    if isinstance(value, float):
        return (kind, repr(value))  # 0.0 is not -0.0
    if isinstance(value, (*_PLAIN, enum.Enum)):
        return (kind, value)
    if isinstance(value, tuple | list):
        return (kind, tuple(map(_frozen, value)))
    if isinstance(value, Mapping):
        return (kind, tuple((_frozen(key), _frozen(item)) for key, item in value.items()))
    return _factory(value)
