"""The graph of a trace: which call feeds which, what depends on the input, what is a weighted layer.

A **weighted layer** is a convolution or a matrix product of data with a parameter, whoever calls it.
Attention is two of them in sequence (input and output projection), a recurrent layer one for each
stacked layer.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from pytest_archcheck.records import RECURRENT_OPS, Call, LayerCall, Op, Ref, input_refs
from pytest_archcheck.traces import Trace

_CONVOLUTION_LAYERS = {f"Conv{n}d" for n in (1, 2, 3)} | {f"ConvTranspose{n}d" for n in (1, 2, 3)}
_PRODUCT_LAYERS = {"Linear", "NonDynamicallyQuantizableLinear", "Bilinear"}
_CELLS = {"RNNCell", "LSTMCell", "GRUCell"}
_RECURRENT = {"RNN", "LSTM", "GRU"}
_CONVOLUTION_OPS = {f"conv{n}d" for n in (1, 2, 3)} | {f"conv_transpose{n}d" for n in (1, 2, 3)}
_PRODUCT_OPS = {
    "linear",
    "bilinear",
    "matmul",
    "mm",
    "bmm",
    "mv",
    "addmm",
    "baddbmm",
    "addbmm",
    "addmv",
    "einsum",
    "tensordot",
}


@dataclass(frozen=True, slots=True)
class Edge:
    """One operand of a node: the node that made it, and its position among the operands."""

    source: int
    position: int


@dataclass(frozen=True, slots=True)
class Node:
    """One call that made tensors: an atomic layer call or an op.

    ``weight`` is how many weighted layers it is; ``key`` names what carries the weights, so that a layer
    called twice has one key.
    """

    call: Call
    edges: tuple[Edge, ...]
    weight: int
    key: str
    convolution: bool
    on_data: bool


class Graph:
    """The data flow of one trace. Nodes are in order of execution, so every edge points backwards."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.nodes: list[Node] = []
        self.index: dict[str, int] = {}
        for call in trace.calls:
            if isinstance(call, LayerCall) and not call.atomic:
                continue
            self.index[call.id] = len(self.nodes)
            self.nodes.append(self._node(call))

    def _node(self, call: Call) -> Node:
        refs = list(input_refs(call))
        edges = tuple(
            Edge(self.index[ref.name], position)
            for position, ref in enumerate(refs)
            if ref.name in self.index
        )
        on_data = [self.depends_on_input(ref) for ref in refs]
        weight, key = _weight(call, refs, on_data)
        convolution = (
            call.module.layer in _CONVOLUTION_LAYERS
            if isinstance(call, LayerCall)
            else call.function in _CONVOLUTION_OPS
        )
        return Node(call, edges, weight, key, bool(weight) and convolution, any(on_data))

    def depends_on_input(self, ref: Ref) -> bool:
        """Whether a tensor was computed from the model's inputs."""
        if ref.name in self.index:
            return self.nodes[self.index[ref.name]].on_data
        return ref.name.startswith(("in:", "opaque:"))

    @cached_property
    def main_output(self) -> int | None:
        """The node that made the main output; ``None`` where an input was handed through."""
        return self.index.get(self.trace.output.source.name)

    @cached_property
    def feeds_main_output(self) -> frozenset[int]:
        """Every node from which the main output can be reached."""
        reached: set[int] = set()
        stack = [] if self.main_output is None else [self.main_output]
        while stack:
            node = stack.pop()
            if node not in reached:
                reached.add(node)
                stack += [edge.source for edge in self.nodes[node].edges]
        return frozenset(reached)

    @property
    def weighted(self) -> list[int]:
        """Nodes that are weighted layers, in order of execution."""
        return [index for index, node in enumerate(self.nodes) if node.weight]


def _weight(call: Call, refs: list[Ref], on_data: list[bool]) -> tuple[int, str]:
    if isinstance(call, LayerCall):
        if (
            call.module.layer in _CONVOLUTION_LAYERS
            or call.module.layer in _PRODUCT_LAYERS
            or call.module.layer in _CELLS
        ):
            return 1, call.name
        if call.module.layer == "MultiheadAttention":
            return 2, call.name
        if call.module.layer in _RECURRENT:
            stacked = call.config.get("num_layers", 1)
            return (stacked if isinstance(stacked, int) else 1), call.name
        return 0, ""
    if call.function == "multi_head_attention_forward" and any(on_data):
        weights = [ref.name for ref in refs if ref.name.startswith("param:")]
        return 2, weights[0].removeprefix("param:") if weights else call.id
    if call.function in RECURRENT_OPS and any(on_data):
        stacked = next((value for value in call.args if type(value) is int), 1)
        return stacked, call.id
    if not (call.function in _CONVOLUTION_OPS or call.function in _PRODUCT_OPS):
        return 0, ""
    operands = _operands(call, refs, on_data)
    if sum(data for _, data in operands) != 1 or len(operands) < 2:
        return 0, ""
    weights = [ref.name for ref, data in operands if not data]
    return 1, weights[0].removeprefix("param:")


def _operands(call: Op, refs: list[Ref], on_data: list[bool]) -> list[tuple[Ref, bool]]:
    """The factors of a product: what is only added (a bias, the first of ``addmm``) left out."""
    factors = list(zip(refs, on_data, strict=True))
    if call.function in ("addmm", "baddbmm", "addbmm", "addmv"):
        return factors[1:3]
    if call.function == "bilinear":
        return [factors[0], factors[2]]
    return factors if call.function in ("einsum",) else factors[:2]


def is_recurrent_cell(call: Call) -> bool:
    """Whether a path counts this layer once, however often it is called."""
    return isinstance(call, LayerCall) and call.module.layer in _CELLS
