"""Where the gradient of a model's outputs arrives, read from its data flow: nothing is run.

A gradient is needed by trainable parameters and by what is computed from them, and arrives where a floating output
depends on it. A ``detach`` is seen; ``torch.no_grad()`` around a part of the forward is not.
"""

from __future__ import annotations

from dataclasses import dataclass

from pytest_archcheck.graph.weights import reads_values
from pytest_archcheck.records import Call, LayerCall, Ref, StateTensor, TensorSpec, input_refs, lineage
from pytest_archcheck.traces import Trace

_CUTS = {"detach", "detach_copy", "tensor", "new_tensor"}
_FLOATS = ("float", "bfloat", "complex", "bcomplex")


@dataclass(frozen=True, slots=True)
class UnusedParameter:
    """A trainable parameter that no output depends on: ``DistributedDataParallel`` stops at it.

    ``module`` is its owner, ``"."`` for the model itself; ``reason`` is ``"its module is never called"``, ``"the
    forward does not use it"`` or ``"its result reaches no output"``.
    """

    name: str
    module: str
    reason: str


class GradientFlow:
    """Which tensors of a trace need a gradient, and to which calls one arrives.

    Args:
        trace: of the forward.
        input_grad: whether the model's inputs need a gradient too.
    """

    def __init__(self, trace: Trace, input_grad: bool = False) -> None:
        self.trainable = {tensor.name for tensor in trace.state if tensor.trainable}
        self._owners = {name for tensor in self.trainable for name in lineage(tensor.rpartition(".")[0])}
        self.needing = {f"param:{name}" for name in self.trainable}
        """What needs a gradient: parameters, inputs and ids of calls."""
        if input_grad:
            self.needing |= {f"in:{spec.path}" for spec in trace.inputs}
        operands: dict[str, list[str]] = {}
        for call in trace.calls:
            if isinstance(call, LayerCall) and not call.atomic:
                continue
            needed = [ref.name for ref, _ in self._read(call) if ref.name in self.needing]
            if (needed or self._has_own(call)) and self._passes(call):
                operands[call.id] = needed
                self.needing.add(call.id)
        self.arrives: set[str] = set()
        """What a gradient arrives at: parameters, inputs and ids of calls."""
        sources = (output.source.name for output in trace.outputs if _is_float(output))
        stack = [name for name in sources if name in self.needing]
        while stack:
            name = stack.pop()
            if name not in self.arrives:
                self.arrives.add(name)
                stack += operands.get(name, ())

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


def find_unused_parameters(trace: Trace) -> tuple[UnusedParameter, ...]:
    """The trainable parameters that no gradient can arrive at, in the order of the state; tied ones once."""
    flow = GradientFlow(trace)
    read = {ref.name for call in trace.calls for ref in input_refs(call)}
    called = {call.module.name for call in trace.layers}
    atomic = [call for call in trace.layers if call.atomic]
    ran = {call.module.name for call in atomic}
    arrives = {call.module.name for call in atomic if call.id in flow.arrives}
    used = {
        tensor.tied_to or tensor.name
        for tensor in trace.state
        if f"param:{tensor.name}" in flow.arrives or not arrives.isdisjoint(lineage(_owner(tensor)))
    }
    found = []
    for tensor in trace.state:
        if not tensor.trainable or tensor.tied_to or not tensor.spec.numel or tensor.name in used:
            continue
        owner = _owner(tensor)
        if f"param:{tensor.name}" in read or not ran.isdisjoint(lineage(owner)):
            reason = "its result reaches no output"
        elif not owner or owner in called:
            reason = "the forward does not use it"
        else:
            reason = "its module is never called"
        found.append(UnusedParameter(tensor.name, owner or ".", reason))
    return tuple(found)


def _owner(tensor: StateTensor) -> str:
    return tensor.name.rpartition(".")[0]


def _is_float(spec: TensorSpec) -> bool:
    return spec.dtype.startswith(_FLOATS)
