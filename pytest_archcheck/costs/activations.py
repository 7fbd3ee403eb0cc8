"""Bytes of what a forward computes, and the most of it that is alive at once.

The peak is an estimate, from the data flow alone: a result is kept until its last use and then freed at once, inputs
and outputs stay, a view takes no memory, a layer marked in-place reuses its operand's, max pooling makes its indices
too, and an allocator rounds nothing. Python's own variables keep some tensors longer, kernels take workspace, and
layers like attention and LSTM hold results inside themselves: that is not in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_archcheck.costs.dtypes import bytes_of
from pytest_archcheck.records import Call, LayerCall, Op, input_refs
from pytest_archcheck.traces import Trace


@dataclass(frozen=True)
class Activations:
    """Memory of one forward without parameters, buffers and workspace.

    ``per_call`` are the bytes that each call returned, by id. ``peak`` is the estimate of the most bytes alive at once,
    ``peak_at`` the call during which, ``alive`` the tensors then alive, the largest first, by who made them.
    """

    per_call: Mapping[str, int] = field(repr=False)
    peak: int
    peak_at: str
    alive: Mapping[str, int] = field(repr=False)


def measure_activations(trace: Trace) -> Activations:
    """The bytes of every call's outputs and the estimated peak."""
    per_call = {call.id: sum(map(bytes_of, call.outputs)) for call in trace.calls}
    calls = [call for call in trace.calls if isinstance(call, Op) or call.atomic]
    memory = _Memory(trace.training)
    last_use = {name: step for step, call in enumerate(calls) for name in memory.names_used(call)}
    held = {f"in:{spec.path}" for spec in trace.inputs} | {output.source.name for output in trace.outputs}
    for spec in trace.inputs:
        memory.take(f"in:{spec.path}", bytes_of(spec))
    peak, peak_at, alive = sum(memory.sizes.values()), "", dict(memory.sizes)
    dying: dict[int, list[str]] = {}
    for name, step in last_use.items():
        if name not in held:
            dying.setdefault(step, []).append(name)
    for step, call in enumerate(calls):
        memory.make(call, per_call[call.id])
        total = memory.total + _indices(call)
        if total > peak:
            peak, peak_at, alive = total, call.id, dict(memory.sizes)
        unused = [] if call.id in last_use or call.id in held else [call.id]
        for name in (*dying.get(step, ()), *unused):
            memory.release(name)
    ordered = dict(sorted(alive.items(), key=lambda item: -item[1]))
    return Activations(per_call, peak, peak_at, ordered)


class _Memory:
    """Who holds which piece of memory, by the name of the call that took it first."""

    def __init__(self, training: bool) -> None:
        self._training = training
        self.sizes: dict[str, int] = {}
        self.total = 0
        self._piece: dict[str, str] = {}
        """The piece of memory that a call's results lie in, by the call's name."""
        self._users: dict[str, int] = {}
        self._scattered: set[str] = set()
        """Calls whose results are views in another order than memory's."""

    def names_used(self, call: Call) -> set[str]:
        return {ref.name for ref in input_refs(call)}

    def take(self, name: str, size: int) -> None:
        """New memory for a call's results."""
        self.sizes[name] = size
        self.total += size
        self._piece[name] = name
        self._users[name] = 1

    def make(self, call: Call, size: int) -> None:
        """The results of a call: new memory, or the operand's."""
        operand = next((ref.name for ref in input_refs(call)), "")
        if not self._reuses(call, operand):
            self.take(call.id, size)
            return
        piece = self._piece.get(operand)
        if piece is not None:  # else a parameter's
            self._piece[call.id] = piece
            self._users[piece] += 1
        if isinstance(call, Op) and (call.function in _REORDERING or operand in self._scattered):
            self._scattered.add(call.id)

    def release(self, name: str) -> None:
        """A call's results are not used any more."""
        piece = self._piece.pop(name, None)
        if piece is None:
            return
        self._users[piece] -= 1
        if not self._users[piece]:
            self.total -= self.sizes.pop(piece)

    def _reuses(self, call: Call, operand: str) -> bool:
        if not call.inputs:
            return False
        if isinstance(call, LayerCall):
            kind = call.module.layer
            if "Dropout" in kind:
                return not call.config.get("training", self._training)
            return kind in _VIEWING_LAYERS or call.config.get("inplace") is True
        if call.function == "getitem":  # by a tensor of positions it copies
            return len(call.inputs) == 1
        if call.function in _DROPOUTS:
            is_on = call.args[2] if len(call.args) > 2 else call.kwargs.get("training", True)
            return is_on is False
        if call.function in _RESHAPING:
            return operand not in self._scattered
        if call.function in _CONVERTING:
            return call.inputs[0].dtype == call.output.dtype
        return call.function in _REORDERING or call.function in _VIEWS


def _indices(call: Call) -> int:
    """Where each maximum was: torch computes it whether it is asked for or not."""
    name = call.module.layer if isinstance(call, LayerCall) else call.function
    is_asked = len(call.outputs) > 1
    return 8 * call.output.numel if name.lower().replace("_", "").startswith(_MAXIMA) and not is_asked else 0


_DROPOUTS = {"dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"}
_MAXIMA = ("maxpool", "adaptivemaxpool")
_VIEWING_LAYERS = {"Identity", "Flatten", "Unflatten"}
_RESHAPING = {"reshape", "flatten", "contiguous", "ravel", "reshape_as"}
_CONVERTING = {"to", "float", "half", "bfloat16", "double", "type_as"}
_REORDERING = set(
    "H T mT mH t adjoint transpose permute expand expand_as broadcast_to narrow split chunk unbind select getitem "
    "movedim diagonal unfold tensor_split hsplit vsplit dsplit".split()
)
_VIEWS = set(
    "view view_as squeeze unsqueeze detach unflatten real imag view_as_real view_as_complex setitem".split()
)
"""Views in the order of memory, and writes into what is there."""
