"""Why a convention did not count a weighted layer: the reasons that the graph gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from pytest_archcheck.graph.depth import NO_EDGES, Counted, LeftOut, longest_path
from pytest_archcheck.traces import Trace


def left_out(
    trace: Trace, counted: Iterable[Counted], said: Sequence[LeftOut], *, through_gates: bool
) -> tuple[LeftOut, ...]:
    """Every weighted layer that was not counted, with the reason; ``said`` are those that the rule gave itself.

    ``through_gates`` is whether the rule follows gates: then computing one is no reason.
    """
    covered = {layer.name for layer in counted}
    reasons = {layer.name: layer for layer in said}
    found: list[LeftOut] = []
    reason = _Reasons(trace, through_gates)
    for index in trace.graph.weighted:
        node = trace.graph.nodes[index]
        if _is_covered(node.id, covered) or _is_covered(node.key, covered):
            continue
        found.append(reasons.get(node.id) or LeftOut(node.id, reason.of(index)))
    known = {layer.name for layer in found}
    found += [layer for layer in said if layer.name not in known]
    return (*found, *(layer for layer in _not_seen(trace) if layer.name not in covered))


def _is_covered(name: str, covered: set[str]) -> bool:
    """Whether the layer, or a module that holds it, was counted."""
    if name in covered:
        return True
    name = name.replace(":", ".")
    while name:
        if name in covered:
            return True
        name = name.rpartition(".")[0]
    return False


class _Reasons:
    def __init__(self, trace: Trace, through_gates: bool) -> None:
        self.graph = graph = trace.graph
        self.heads = {layer: head.output for head in trace.auxiliary_heads for layer in head.layers}
        self.projections = {layer: shortcut.sum for shortcut in trace.shortcuts for layer in shortcut.layers}
        self.gates = NO_EDGES if through_gates else graph.gates
        self.counts = graph.feeds_main_output if through_gates else graph.feeds_beside_gates

    @cached_property
    def on_path(self) -> set[int]:
        return set(longest_path(self.graph, without=self.gates))

    def of(self, index: int) -> str:
        graph, name = self.graph, self.graph.nodes[index].id
        if name in self.heads:
            return f"auxiliary head (output {self.heads[name].lstrip('.')})"
        if index not in graph.feeds_an_output:
            return "dead end: its result reaches no output"
        if index not in graph.feeds_main_output:
            return "does not feed the main output"
        if index not in self.counts:
            return "computes a gate"
        if name in self.projections:
            return f"projection shortcut, parallel to the longer path into {self.projections[name]}"
        return "not counted by this rule" if index in self.on_path else "parallel to a longer path"


def _not_seen(trace: Trace) -> Iterator[LeftOut]:
    """Calls that may hold weighted layers unseen; layers that were declared and did not run."""
    for name in trace.mac_count.uncounted:
        yield LeftOut(name, "not understood: may hold weighted layers")
    ran = {call.name for call in trace.layers}
    weights = (name.removeprefix("param:") for name in trace.graph.used if name.startswith("param:"))
    ran |= {name.rpartition(".")[0] for name in weights}  # called as a function, with the module's weight
    atomic = {call.name for call in trace.layers if call.atomic}
    for module in trace.modules:
        is_layer = module.is_torch and ("Conv" in module.type or "Linear" in module.type)
        if not is_layer or module.same_as is not None or (module.name or ".") in ran:
            continue
        if not _is_covered(module.name, atomic):
            yield LeftOut(module.name, "declared, did not run")
