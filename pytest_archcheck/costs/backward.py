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
from pytest_archcheck.graph.weights import reads_values
from pytest_archcheck.records import Call, LayerCall, Ref, TensorSpec, input_refs, lineage
from pytest_archcheck.traces import Trace

_CUTS = {"detach", "detach_copy", "tensor", "new_tensor"}
_FLOATS = ("float", "bfloat", "complex", "bcomplex")


def count_backward(trace: Trace, input_grad: bool = False) -> MacCount:
    """The MACs of one backward from all outputs.

    Args:
        trace: of the forward.
        input_grad: whether the model's inputs need a gradient too.
    """
    gradients = _Gradients(trace, input_grad)
    per_call: dict[str, int] = {}
    own: list[str] = []
    for call in counted_calls(trace):
        products = products_of(call)
        if products is None:
            if call.id not in trace.mac_count.uncounted:  # a formula of one's own tells the forward only
                own.append(call.id)
        elif products and gradients.arrives(call):
            needs = gradients.needs_of(call)
            macs = sum(p.macs * (any(map(needs, p.left)) + any(map(needs, p.right))) for p in products)
            if macs:
                per_call[call.id] = macs
    return MacCount(trace, "backward", per_call, (*trace.mac_count.uncounted, *own))


class _Gradients:
    """Which tensors of a trace need a gradient, and to which calls one arrives."""

    def __init__(self, trace: Trace, input_grad: bool) -> None:
        self._trainable = {tensor.name for tensor in trace.state if tensor.trainable}
        self._owners = {name for tensor in self._trainable for name in lineage(tensor.rpartition(".")[0])}
        self._needing = {f"param:{name}" for name in self._trainable}
        if input_grad:
            self._needing |= {f"in:{spec.path}" for spec in trace.inputs}
        operands: dict[str, list[str]] = {}
        for call in trace.calls:
            if isinstance(call, LayerCall) and not call.atomic:
                continue
            needed = [ref.name for ref, _ in self._read(call) if ref.name in self._needing]
            if (needed or self._has_own(call)) and self._passes(call):
                operands[call.id] = needed
                self._needing.add(call.id)
        self._arrives: set[str] = set()
        stack = [output.source.name for output in trace.outputs if _is_float(output)]
        while stack:
            name = stack.pop()
            if name in operands and name not in self._arrives:
                self._arrives.add(name)
                stack += operands[name]

    def arrives(self, call: Call) -> bool:
        """Whether a gradient of the call's result is computed."""
        return call.id in self._arrives

    def needs_of(self, call: Call) -> Callable[[Source], bool]:
        """Whether a source of the call's products needs a gradient."""
        operands = [ref.name for ref in input_refs(call)]

        def needs(source: Source) -> bool:
            if isinstance(source, str):
                module = call.module.name if isinstance(call, LayerCall) else ""
                return f"{module}.{source}".lstrip(".") in self._trainable
            return operands[source] in self._needing

        return needs

    def _read(self, call: Call) -> list[tuple[Ref, TensorSpec]]:
        pairs = zip(input_refs(call), call.inputs, strict=True)
        return [
            (ref, spec)
            for position, (ref, spec) in enumerate(pairs)
            if _is_float(spec) and reads_values(call, position)
        ]

    def _has_own(self, call: Call) -> bool:
        return isinstance(call, LayerCall) and call.module.name in self._owners

    def _passes(self, call: Call) -> bool:
        is_cut = not isinstance(call, LayerCall) and call.function in _CUTS
        return not is_cut and any(_is_float(spec) for spec in call.outputs)


def _is_float(spec: TensorSpec) -> bool:
    return spec.dtype.startswith(_FLOATS)
