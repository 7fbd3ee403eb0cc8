"""The MACs of a backward: for each product, as many as the forward for every operand that needs a gradient.

Which those are follows from the record: a gradient is needed by trainable parameters and by what is computed from
them, and arrives where an output depends on it. It is the arithmetic that is counted, as from the definition: an
implementation that computes attention's scores a second time, or checkpointing, is not in the number.
"""

from __future__ import annotations

from collections.abc import Callable

from pytest_archcheck.costs.calls import counted_calls
from pytest_archcheck.costs.macs import MacCount, products_of
from pytest_archcheck.costs.products import Source
from pytest_archcheck.graph.gradients import GradientFlow
from pytest_archcheck.records import Call, LayerCall, input_refs
from pytest_archcheck.traces import Trace


def count_backward(trace: Trace, input_grad: bool = False) -> MacCount:
    """The MACs of one backward from all outputs.

    Args:
        trace: of the forward.
        input_grad: whether the model's inputs need a gradient too.
    """
    flow = GradientFlow(trace, input_grad)
    per_call: dict[str, int] = {}
    own: list[str] = []
    for call in counted_calls(trace):
        products = products_of(call)
        if products is None:
            if call.id not in trace.mac_count.uncounted:  # a formula of one's own tells the forward only
                own.append(call.id)
        elif products and call.id in flow.arrives:
            needs = _needs_of(call, flow)
            macs = sum(p.macs * (any(map(needs, p.left)) + any(map(needs, p.right))) for p in products)
            if macs:
                per_call[call.id] = macs
    return MacCount(trace, "backward", per_call, (*trace.mac_count.uncounted, *own))


def _needs_of(call: Call, flow: GradientFlow) -> Callable[[Source], bool]:
    """Whether a source of a call's products needs a gradient."""
    operands = [ref.name for ref in input_refs(call)]

    def needs(source: Source) -> bool:
        if isinstance(source, str):
            module = call.module.name if isinstance(call, LayerCall) else ""
            return f"{module}.{source}".lstrip(".") in flow.trainable
        return operands[source] in flow.needing

    return needs
