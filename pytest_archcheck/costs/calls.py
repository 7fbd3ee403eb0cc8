"""Which calls a count is of, and which modules each belongs to."""

from __future__ import annotations

import re
from collections.abc import Iterator

from pytest_archcheck.costs.formulas import own_formula
from pytest_archcheck.records import Call, LayerCall, Ref, lineage
from pytest_archcheck.traces import Trace

_NUMBER = re.compile(r"#\d+$")


def counted_calls(trace: Trace) -> Iterator[Call]:
    """Atomic layers and functions, and in place of all that is inside a layer with a formula of its own, that layer.

    What is inside one call of a layer lies between it and the last call that its results come from; where those are of
    unknown origin, it is all that follows and is named below it.
    """
    model = _root(trace)
    if own_formula(model) is not None:
        yield model
        return
    positions: dict[str, int] = {}
    end = 0
    for position, call in enumerate(trace.calls):
        if position < end:
            continue
        if not isinstance(call, LayerCall) or call.atomic:
            yield call
        elif own_formula(call) is not None:
            positions = positions or {other.id: index for index, other in enumerate(trace.calls)}
            end = _end(trace, call, position, positions)
            yield call


def _end(trace: Trace, call: LayerCall, position: int, positions: dict[str, int]) -> int:
    made = (positions.get(ref.name, -1) for ref in call.sources or ())
    last = max(made, default=-1)
    if last > position:
        return last + 1
    end = position + 1
    while end < len(trace.calls) and call.module.name in lineage(module_of(trace.calls[end])):
        end += 1
    return end


def opaque_tensors(trace: Trace) -> list[str]:
    """Tensors of unknown origin outside of layers with a formula of their own, as ``"opaque:layer1.0"``."""
    covered = {
        call.module.name for call in counted_calls(trace) if isinstance(call, LayerCall) and not call.atomic
    }
    names = [tensor.name for tensor in trace.state if tensor.kind == "opaque"]
    return [f"opaque:{name}" for name in names if covered.isdisjoint(lineage(_home_of_opaque(name)))]


def module_of(call: Call) -> str:
    """The module that a cost belongs to: the layer itself, or the one whose forward called the function."""
    return call.module.name if isinstance(call, LayerCall) else call.scope


def kind_of(call: Call) -> str:
    """A layer's class or a function's name."""
    return call.type if isinstance(call, LayerCall) else call.function


class Holders:
    """The modules that hold a call: its own and all above it, under each name of a module that is shared."""

    def __init__(self, trace: Trace) -> None:
        self._trace = trace
        self._calls = trace.by_id
        self._names: dict[str, list[str]] = {}
        for module in trace.modules:
            if module.same_as is not None:
                self._names.setdefault(module.same_as, []).append(module.name)
        self._known: dict[str, tuple[str, ...]] = {}

    def call(self, name: str) -> Call:
        """A call that is counted, by its id."""
        return self._calls[name] if name in self._calls else _root(self._trace)

    def of(self, name: str) -> tuple[str, ...]:
        """The names of the modules that hold what has this id; ``""`` is the whole model."""
        if name.startswith("opaque:"):
            module = _home_of_opaque(name.removeprefix("opaque:"))
        else:
            module = module_of(self.call(name))
        if module not in self._known:
            own = lineage(module)
            others = (
                above for held in own for alias in self._names.get(held, ()) for above in lineage(alias)
            )
            self._known[module] = tuple(dict.fromkeys((*own, *others)))
        return self._known[module]


def _home_of_opaque(name: str) -> str:
    return _NUMBER.sub("", name).rstrip(".")


def _root(trace: Trace) -> LayerCall:
    """The call of the model itself, which a trace has no line for."""
    sources = tuple(output.source for output in trace.outputs) or (Ref("opaque:."),)
    own = tuple(tensor for tensor in trace.state if "." not in tensor.name)
    return LayerCall(trace.model, 1, (), {}, trace.inputs, trace.outputs, sources, own)
