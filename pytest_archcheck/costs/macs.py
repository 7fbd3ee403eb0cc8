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
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from pytest_archcheck.costs.calls import Holders, counted_calls, kind_of, opaque_tensors
from pytest_archcheck.costs.formulas import own_formula
from pytest_archcheck.costs.functions import FUNCTIONS
from pytest_archcheck.costs.layers import LAYERS
from pytest_archcheck.costs.products import Product
from pytest_archcheck.costs.vocabulary import ARITHMETIC, MOVES, MOVING_LAYERS, OTHER_LAYERS
from pytest_archcheck.records import Call, LayerCall, Op, input_refs
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
            for holder in self._holders.of(name):
                left_out.setdefault(holder, []).append(name)
        return {module: _status(names) for module, names in left_out.items()}

    @cached_property
    def per_module(self) -> Mapping[str, int]:
        """For every module, itself with its children, by name; ``""`` is the whole model.

        A module that is shared has its cost under each of its names, and in each module that holds it.
        """
        counts = dict.fromkeys(("", *(module.name for module in self.trace.modules[1:])), 0)
        for name, cost in self.per_call.items():
            for holder in self._holders.of(name):
                counts[holder] = counts.get(holder, 0) + cost
        return counts

    @cached_property
    def per_type(self) -> Mapping[str, int]:
        """By class of layer or name of function, the most expensive first."""
        counts: Counter[str] = Counter()
        for name, cost in self.per_call.items():
            counts[kind_of(self._holders.call(name))] += cost
        return dict(counts.most_common())

    @cached_property
    def elementwise(self) -> Mapping[str, int]:
        """What does arithmetic that is no MAC by convention (norms, activations, sums): number of calls by kind."""
        calls = (call for call in counted_calls(self.trace) if call.id not in self.per_call)
        return dict(Counter(kind_of(call) for call in calls if _is_elementwise(call)).most_common())

    @cached_property
    def _holders(self) -> Holders:
        return Holders(self.trace)


def count_macs(trace: Trace) -> MacCount:
    """The MACs of every call of a trace.

    Raises:
        UsageError: a project's own formula failed.
    """
    per_call: dict[str, int] = {}
    uncounted: list[str] = []
    sparse = _sparse_tensors(trace)
    for call in counted_calls(trace):
        macs = macs_of(call)
        if macs and sparse and any(ref.name in sparse for ref in input_refs(call)):
            macs = None  # of how many elements, the shapes do not say
        if macs is None:
            uncounted.append(call.id)
        elif macs:
            per_call[call.id] = macs
    return MacCount(trace, "macs", per_call, (*opaque_tensors(trace), *uncounted))


def _sparse_tensors(trace: Trace) -> set[str]:
    """Sparse parameters and buffers, and what was made sparse in the forward, by who made them."""
    held = {f"{tensor.kind}:{tensor.name}" for tensor in trace.state if tensor.stored is not None}
    return held | {op.id for op in trace.ops if op.function.startswith(("to_sparse", "sparse_"))}


_OF_ANOTHER_FORM = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""A formula meets arguments that it does not know, or a call from a text that was edited by hand."""


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
    except _OF_ANOTHER_FORM:
        return None
    if products and any(size < 0 for spec in (*call.inputs, *call.outputs) for size in spec.shape):
        return None  # ragged
    return products


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
    return call.function in ARITHMETIC or call.function in FUNCTIONS  # an einsum that sums over nothing


def _status(uncounted: Sequence[str]) -> str:
    if not uncounted:
        return "complete"
    more = f" and {len(uncounted) - 5} more" if len(uncounted) > 5 else ""
    return f"partial: {', '.join(uncounted[:5])}{more} not counted"
