"""The graph of a trace: which call feeds which, what depends on the input, what is a weighted layer."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property

from pytest_archcheck.collector import collector_off
from pytest_archcheck.graph.weights import (
    is_convolution,
    is_recurrent_cell,
    mixes,
    reads_values,
    weight_of,
)
from pytest_archcheck.records import Call, LayerCall, Ref, input_refs
from pytest_archcheck.traces import Trace

_NONE: frozenset[str] = frozenset()
_WEIGHTED = 1 << 32
"""A weighted layer is more work than any number of calls that mix."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One operand of a node: the node that made it, as its output ``index``, and its place among the call's tensors."""

    source: int
    position: int
    index: int = 0


@dataclass(frozen=True, slots=True)
class Node:
    """One input of the model, or one call that made tensors: an atomic layer call or an op.

    ``edges`` are the operands whose values matter. ``weight`` is how many weighted layers the node adds to a path;
    ``key`` names what carries the weights, so that a layer called twice has one key.
    """

    id: str
    call: Call | None
    edges: tuple[Edge, ...]
    weight: int = 0
    key: str = ""
    convolution: bool = False
    on_data: bool = True


class Graph:
    """The data flow of one trace: inputs first, then calls in order of execution, so that edges point backwards."""

    @collector_off()
    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.nodes: list[Node] = [Node(f"in:{spec.path}", None, ()) for spec in trace.inputs]
        self.index: dict[str, int] = {node.id: index for index, node in enumerate(self.nodes)}
        self._carriers: dict[str, str] = {}
        """What carries the weights of a tensor that does not depend on the input, by what made it."""
        self._cells: list[frozenset[str]] = [_NONE] * len(self.nodes)
        """The recurrent cells before or in each node."""
        self._modules = {module.name for module in trace.modules if module.is_torch}
        for call in trace.calls:
            if isinstance(call, LayerCall) and not call.atomic:
                continue
            self.index[call.id] = len(self.nodes)
            self.nodes.append(self._node(call))

    def _node(self, call: Call) -> Node:
        refs = list(input_refs(call))
        read = [reads_values(call, position) for position in range(len(refs))]
        edges = tuple(
            Edge(self.index[ref.name], position, ref.index)
            for position, ref in enumerate(refs)
            if read[position] and ref.name in self.index
        )
        on_data = [self._depends_on_input(ref) and read[i] for i, ref in enumerate(refs)]
        weight, key = weight_of(call, refs, on_data)
        key = self._carrier(key)
        convolution = bool(weight) and is_convolution(call)
        cells = _NONE
        for edge in edges:
            cells = cells | self._cells[edge.source] if self._cells[edge.source] else cells
        if weight and is_recurrent_cell(call):
            weight = 0 if key in cells else weight
            cells |= {key}
        self._cells.append(cells)
        if refs and not any(on_data):
            self._carriers[call.id] = self._carrier(refs[0].name)
        return Node(call.id, call, edges, weight, key, convolution, any(on_data))

    def _carrier(self, name: str) -> str:
        """One key for a parameter, its views, and the layer of ``torch.nn`` that owns it."""
        name = self._carriers.get(name, name)
        if not name.startswith("param:"):
            return name
        name = name.removeprefix("param:")
        owner = name.rpartition(".")[0]
        return owner if owner in self._modules else name

    def _depends_on_input(self, ref: Ref) -> bool:
        if ref.name in self.index:
            return self.nodes[self.index[ref.name]].on_data
        return ref.name.startswith("opaque:")

    def sources(self, index: int) -> tuple[int, ...]:
        """The distinct nodes that a node computes from and that depend on the model's inputs, in order."""
        return self._sources[index]

    @cached_property
    def _sources(self) -> list[tuple[int, ...]]:
        nodes = self.nodes
        return [
            tuple(dict.fromkeys(edge.source for edge in node.edges if nodes[edge.source].on_data))
            for node in nodes
        ]

    @cached_property
    def consumers(self) -> list[int]:
        """How many nodes and outputs of the model use each node."""
        counts = [0] * len(self.nodes)
        for node in self.nodes:
            for source in {edge.source for edge in node.edges}:
                counts[source] += 1
        for output in {self.index.get(output.source.name) for output in self.trace.outputs} - {None}:
            counts[output] += 1  # type: ignore[index]
        return counts

    @cached_property
    def main_output(self) -> int | None:
        """The node that made the main output; ``None`` where it is a parameter or of unknown origin."""
        return self.index.get(self.trace.output.source.name) if self.trace.outputs else None

    @cached_property
    def feeds_main_output(self) -> frozenset[int]:
        """Every node from which the main output can be reached."""
        return self.feeding([] if self.main_output is None else [self.main_output])

    @cached_property
    def feeds_an_output(self) -> frozenset[int]:
        """Every node from which any output can be reached."""
        found = (self.index.get(output.source.name) for output in self.trace.outputs)
        return self.feeding(index for index in found if index is not None)

    def feeding(
        self, targets: Iterable[int], without: frozenset[tuple[int, int]] = frozenset()
    ) -> frozenset[int]:
        """Every node from which a target can be reached, not through the edges ``without``."""
        reached: set[int] = set()
        stack = list(targets)
        while stack:
            node = stack.pop()
            if node not in reached:
                reached.add(node)
                edges = self.nodes[node].edges
                stack += [edge.source for edge in edges if (node, edge.position) not in without]
        return frozenset(reached)

    @cached_property
    def feeds_beside_gates(self) -> frozenset[int]:
        """Every node from which the main output can be reached, not through gates."""
        return self.feeding([] if self.main_output is None else [self.main_output], self.gates)

    @cached_property
    def used(self) -> frozenset[str]:
        """The names of everything that a call takes: calls, inputs, ``param:…``."""
        return frozenset(ref.name for call in self.trace.calls for ref in input_refs(call))

    @cached_property
    def gates(self) -> frozenset[tuple[int, int]]:
        """The operands that are gates, as pairs of a product's node and a position; see ``graph.gates``."""
        from pytest_archcheck.graph.gates import gate_edges

        return gate_edges(self)

    @cached_property
    def weighted(self) -> list[int]:
        """Nodes that are weighted layers, in order of execution; a recurrent cell's first call alone."""
        return [index for index, node in enumerate(self.nodes) if node.weight]

    @cached_property
    def work(self) -> list[int]:
        """For each node the work on the path that ends in it: weighted layers first, then calls that mix."""
        found: list[int] = []
        for index, node in enumerate(self.nodes):
            before = max((found[source] for source in self.sources(index)), default=0)
            mixed = node.call is not None and not node.weight and mixes(node.call)
            found.append(before + node.weight * _WEIGHTED + mixed)
        return found
