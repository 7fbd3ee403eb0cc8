"""Why a convention did not count a weighted layer: the reasons that the graph gives."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from pytest_archcheck.graph.depth import Counted, LeftOut, longest_path
from pytest_archcheck.records import input_refs
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
        graph = trace.graph
        gates = frozenset[tuple[int, int]]() if through_gates else graph.gates
        self.graph = graph
        self.heads = {layer: head.output for head in trace.auxiliary_heads for layer in head.layers}
        self.projections = {layer: shortcut.sum for shortcut in trace.shortcuts for layer in shortcut.layers}
        main = [] if graph.main_output is None else [graph.main_output]
        self.beside_gates = graph.feeding(main, gates)
        self.on_path = set(longest_path(graph, without=gates))

    def of(self, index: int) -> str:
        graph, name = self.graph, self.graph.nodes[index].id
        if name in self.heads:
            return f"auxiliary head (output {self.heads[name].lstrip('.')})"
        if index not in graph.feeds_an_output:
            return "dead end: its result reaches no output"
        if index not in graph.feeds_main_output:
            return "does not feed the main output"
        if index not in self.beside_gates:
            return "computes a gate"
        if name in self.projections:
            return f"projection shortcut, parallel to the longer path into {self.projections[name]}"
        return "not counted by this rule" if index in self.on_path else "parallel to a longer path"


def _not_seen(trace: Trace) -> Iterator[LeftOut]:
    """Calls that may hold weighted layers unseen; layers that were declared and did not run."""
    for name in trace.mac_count.uncounted:
        yield LeftOut(name, "not understood: may hold weighted layers")
    ran = {call.name for call in trace.layers}
    used = {ref.name.removeprefix("param:") for call in trace.calls for ref in input_refs(call)}
    ran |= {name.rpartition(".")[0] for name in used}  # called as a function, with the module's weight
    atomic = {call.name for call in trace.layers if call.atomic}
    for module in trace.modules:
        is_layer = module.is_torch and ("Conv" in module.type or "Linear" in module.type)
        if not is_layer or module.same_as is not None or (module.name or ".") in ran:
            continue
        if not _is_covered(module.name, atomic):
            yield LeftOut(module.name, "declared, did not run")
