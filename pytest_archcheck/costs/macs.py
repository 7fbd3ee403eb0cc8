"""Multiply-accumulates from recorded shapes, whatever kernel ran.

Counting semantics:

* counted: convolutions, matrix products, attention and recurrent layers, each call of them;
* not counted, by convention: bias additions, norms, activations, pooling, everything elementwise;
* one multiply-accumulate is one MAC; a FLOP count is twice the MACs, always;
* whatever is not known to be either (a function without a formula here, one that is not torch's own, a scripted
  module) is named as not counted and makes the count partial. It is never a silent 0.

torchvision's ``_ops`` metadata (in units of 10⁹) is counted the same way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_archcheck.costs.formulas import own_formula
from pytest_archcheck.costs.functions import FUNCTIONS
from pytest_archcheck.costs.layers import LAYERS
from pytest_archcheck.costs.products import Product
from pytest_archcheck.costs.vocabulary import ARITHMETIC, MOVES, MOVING_LAYERS, OTHER_LAYERS
from pytest_archcheck.records import Call, LayerCall, Op, lineage
from pytest_archcheck.traces import Trace


@dataclass(frozen=True, repr=False)
class MacCount:
    """What a trace costs under one way of counting, and what could not be counted.

    ``per_call`` has every call that costs something by its id; ``uncounted`` the ids of those that are not known.
    """

    trace: Trace = field(compare=False)
    counter: str
    per_call: Mapping[str, int]
    uncounted: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<MacCount {self.counter}: {self.total:,} ({self.status})>"

    @cached_property
    def total(self) -> int:
        """The sum over all calls; a layer that is called twice counts twice."""
        return sum(self.per_call.values())

    @property
    def status(self) -> str:
        """``"complete"``, or ``"partial: …"`` with the names of what was not counted."""
        return _status(self.uncounted)

    @cached_property
    def incomplete(self) -> Mapping[str, str]:
        """The status of every module in which something was not counted; ``""`` is the whole model."""
        left_out: dict[str, list[str]] = {}
        for name in self.uncounted:
            call = self.trace.by_id.get(name)
            module = name.removeprefix("opaque:").rstrip(".") if call is None else module_of(call)
            for holder in lineage(module):
                left_out.setdefault(holder, []).append(name)
        return {module: _status(names) for module, names in left_out.items()}

    @cached_property
    def per_module(self) -> Mapping[str, int]:
        """For every module that costs something, itself with its children, by name; ``""`` is the whole model."""
        counts: Counter[str] = Counter()
        for call, cost in self._costs():
            for name in lineage(module_of(call)):
                counts[name] += cost
        return dict(counts)

    @cached_property
    def per_type(self) -> Mapping[str, int]:
        """By class of layer or name of function, the most expensive first."""
        counts: Counter[str] = Counter()
        for call, cost in self._costs():
            counts[kind_of(call)] += cost
        return dict(counts.most_common())

    @cached_property
    def elementwise(self) -> Mapping[str, int]:
        """What does arithmetic that is no MAC by convention (norms, activations, sums): number of calls by kind."""
        calls = (call for call in counted_calls(self.trace) if call.id not in self.per_call)
        return dict(Counter(kind_of(call) for call in calls if _is_elementwise(call)).most_common())

    def _costs(self) -> Iterator[tuple[Call, int]]:
        return ((self.trace.by_id[name], cost) for name, cost in self.per_call.items())


def count_macs(trace: Trace) -> MacCount:
    """The MACs of every call of a trace.

    Raises:
        UsageError: a project's own formula failed.
    """
    per_call: dict[str, int] = {}
    uncounted: list[str] = []
    covered: set[str] = set()
    for call in counted_calls(trace):
        if isinstance(call, LayerCall) and not call.atomic:
            covered.add(call.module.name)
        macs = macs_of(call)
        if macs is None:
            uncounted.append(call.id)
        elif macs:
            per_call[call.id] = macs
    opaque = [tensor.name for tensor in trace.state if tensor.kind == "opaque"]
    uncounted = [f"opaque:{name}" for name in opaque if covered.isdisjoint(lineage(name))] + uncounted
    return MacCount(trace, "macs", per_call, tuple(uncounted))


def counted_calls(trace: Trace) -> Iterator[Call]:
    """Atomic layers and functions, and in place of all that is inside a layer with a formula of its own, that layer."""
    covered: set[str] = set()
    for call in trace.calls:
        if covered and not covered.isdisjoint(lineage(module_of(call))):
            if isinstance(call, LayerCall) and call.module.name in covered:
                yield call  # called again
            continue
        if not isinstance(call, LayerCall) or call.atomic:
            yield call
        elif own_formula(call) is not None:
            covered.add(call.module.name)
            yield call


def macs_of(call: Call) -> int | None:
    """The MACs of one call; ``None`` where they are not known, or are those of the calls inside it."""
    products = products_of(call)
    if products is not None:
        return sum(product.macs for product in products)
    return own_formula(call)


def products_of(call: Call) -> tuple[Product, ...] | None:
    """The products inside one call; ``None`` where they are not known, or are those of the calls inside it."""
    try:
        products = _layer_products(call) if isinstance(call, LayerCall) else _op_products(call)
    except (IndexError, ValueError):  # arguments of another form than the formula knows
        return None
    is_ragged = any(size < 0 for spec in (*call.inputs, *call.outputs) for size in spec.shape)
    return None if products and is_ragged else products


def _layer_products(call: LayerCall) -> tuple[Product, ...] | None:
    if not call.atomic or not call.module.is_torch:  # a scripted module's inside is not known
        return None
    formula = LAYERS.get(call.module.layer)
    if formula is not None:
        return formula(call)
    return () if call.module.layer in MOVING_LAYERS or call.module.layer in OTHER_LAYERS else None


def _op_products(call: Op) -> tuple[Product, ...] | None:
    formula = FUNCTIONS.get(call.function)
    if formula is not None:
        return formula(call)
    return () if call.function in MOVES or call.function in ARITHMETIC else None


def _is_elementwise(call: Call) -> bool:
    if isinstance(call, LayerCall):
        return call.module.layer in OTHER_LAYERS
    return call.function in ARITHMETIC


def _status(uncounted: Sequence[str]) -> str:
    if not uncounted:
        return "complete"
    more = f" and {len(uncounted) - 5} more" if len(uncounted) > 5 else ""
    return f"partial: {', '.join(uncounted[:5])}{more} not counted"


def module_of(call: Call) -> str:
    """The module that a cost belongs to: the layer itself, or the one whose forward called the function."""
    return call.module.name if isinstance(call, LayerCall) else call.scope


def kind_of(call: Call) -> str:
    """A layer's class or a function's name."""
    return call.type if isinstance(call, LayerCall) else call.function
