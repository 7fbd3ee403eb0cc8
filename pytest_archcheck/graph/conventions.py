"""Depth conventions: named rules that turn a trace into a depth.

There is no one depth (Xception alone is published as 36, 71, 81 and 126), so every depth names its
convention. Sources: ``paper`` is how the ResNet (arXiv 1512.03385), VGG (1409.1556), DenseNet (1608.06993)
and GoogLeNet (1409.4842) papers count; ``longest-path`` is MATLAB's "largest number of sequential
convolutional or fully connected layers on a path from the input layer to the output layer";
``convolutions`` is Wide ResNet's (1605.07146); ``parameter-modules`` is Keras Applications' "number of
layers with parameters".
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.blocks import find_blocks, find_stages
from pytest_archcheck.graph.dataflow import Graph
from pytest_archcheck.graph.depth import Counted, DepthExplanation, LeftOut, longest_path
from pytest_archcheck.graph.gates import gate_edges
from pytest_archcheck.graph.shortcuts import projection_shortcuts
from pytest_archcheck.traces import Trace

_Rule = Callable[[Trace], DepthExplanation]


def explain_depth(trace: Trace, convention: str) -> DepthExplanation:
    """The depth of a trace under a convention, with what was counted and what was not.

    Raises:
        UsageError: there is no convention of that name.
    """
    return CONVENTIONS[known_convention(convention)](trace)


def known_convention(name: object) -> str:
    """The name itself, if it names a convention.

    Raises:
        UsageError: it does not; the message lists the conventions.
    """
    if isinstance(name, str) and name in CONVENTIONS:
        return name
    near = difflib.get_close_matches(str(name), CONVENTIONS, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    raise UsageError(f"unknown depth convention {name!r}: {hint}the conventions are {', '.join(CONVENTIONS)}")


def _paper(trace: Trace) -> DepthExplanation:
    graph = trace.graph
    return _path(trace, graph, "paper", "weighted layers in sequence, not through gates", gate_edges(graph))


def _longest_path(trace: Trace) -> DepthExplanation:
    graph = trace.graph
    return _path(trace, graph, "longest-path", "weighted layers in sequence, gates included", set())


def _path(
    trace: Trace, graph: Graph, convention: str, rule: str, without: set[tuple[int, int]]
) -> DepthExplanation:
    path = longest_path(graph, without)
    on_path = set(path)
    groups = _Groups(trace, [graph.nodes[i].call.id for i in path])
    counted = tuple(
        Counted(graph.nodes[i].call.id, graph.nodes[i].weight, groups.of(graph.nodes[i].call.id))
        for i in path
    )
    main = longest_path(graph)
    projections = projection_shortcuts(graph)
    left_out = []
    for index in graph.weighted:
        if index in on_path or graph.nodes[index].key in {graph.nodes[i].key for i in on_path}:
            continue
        if index not in graph.feeds_main_output:
            reason = "does not feed the main output (an auxiliary head or a dead end)"
        elif index in projections:
            reason = f"projection shortcut, parallel to the longer path into {projections[index]}"
        elif index in main:
            reason = "computes a gate"
        else:
            reason = "parallel to a longer path"
        left_out.append(LeftOut(graph.nodes[index].call.id, reason))
    return DepthExplanation(convention, rule, counted, (*left_out, *_not_run(trace)))


def _distinct(convention: str, rule: str, only_convolutions: bool) -> _Rule:
    def explain(trace: Trace) -> DepthExplanation:
        graph = trace.graph
        chosen: dict[str, int] = {}
        left_out: list[LeftOut] = []
        for index in graph.weighted:
            node = graph.nodes[index]
            if only_convolutions and not node.convolution:
                left_out.append(LeftOut(node.call.id, "not a convolution"))
            elif node.key not in chosen:
                chosen[node.key] = index
        ids = [graph.nodes[index].call.id for index in chosen.values()]
        groups = _Groups(trace, ids)
        counted = tuple(Counted(name, 1, groups.of(name)) for name in ids)
        return DepthExplanation(convention, rule, counted, (*left_out, *_not_run(trace)))

    return explain


def _parameter_modules(trace: Trace) -> DepthExplanation:
    owners = {tensor.name.rpartition(".")[0] for tensor in trace.state if tensor.kind == "param"}
    names = [m.name for m in trace.modules if m.name in owners and not m.same_as]
    return _modules(trace, "parameter-modules", "modules that own parameters, run or not", names)


def _leaf_modules(trace: Trace) -> DepthExplanation:
    parents = {module.name.rpartition(".")[0] for module in trace.modules if module.name}
    names = [m.name for m in trace.modules if m.name not in parents and not m.same_as]
    return _modules(trace, "leaf-modules", "modules without children", names)


def _blocks(trace: Trace) -> DepthExplanation:
    counted = tuple(
        Counted(block.name, 1, f"stage {number}")
        for number, stage in enumerate(find_stages(trace), start=1)
        for block in stage
    )
    return DepthExplanation("blocks", "repeated blocks, over all stages", counted, ())


def _modules(trace: Trace, convention: str, rule: str, names: list[str]) -> DepthExplanation:
    groups = _Groups(trace, names)
    counted = tuple(Counted(name or ".", 1, groups.of(name)) for name in names)
    return DepthExplanation(convention, rule, counted, ())


def _not_run(trace: Trace) -> Iterable[LeftOut]:
    """Calls that may hold weighted layers unseen; layers that were declared and did not run."""
    for name in trace.mac_count.uncounted:
        yield LeftOut(name, "not understood: may hold weighted layers")
    ran = {call.name for call in trace.layers}
    inside = tuple(f"{call.name}." for call in trace.layers if call.atomic)
    for module in trace.modules:
        is_layer = module.is_torch and ("Conv" in module.type or "Linear" in module.type)
        if (
            is_layer
            and module.same_as is None
            and module.name not in ran
            and not module.name.startswith(inside or ("\0",))
        ):
            yield LeftOut(module.name, "declared, did not run")


class _Groups:
    """Names the part of the network that a layer lies in: stem, a stage's blocks, head."""

    def __init__(self, trace: Trace, names: list[str]) -> None:
        self._block_of: dict[str, str] = {}
        stages = find_stages(trace)
        blocks = {call.name: f"stage {n}" for n, stage in enumerate(stages, 1) for call in stage}
        for name in names:
            owner = name.replace(":", ".")
            while owner and owner not in blocks:
                owner = owner.rpartition(".")[0]
            if owner:
                self._block_of[name] = blocks[owner]
        inside = [i for i, name in enumerate(names) if name in self._block_of]
        first, last = (inside[0], inside[-1]) if inside else (len(names), len(names))
        for position, name in enumerate(names):
            if name not in self._block_of:
                between = "between stages" if position < last else "head"
                self._block_of[name] = "stem" if position < first else between
        if not find_blocks(trace):
            self._block_of = dict.fromkeys(names, "layers")

    def of(self, name: str) -> str:
        return self._block_of[name]


CONVENTIONS: dict[str, _Rule] = {
    "paper": _paper,
    "longest-path": _longest_path,
    "weighted": _distinct("weighted", "distinct weighted layers that ran", False),
    "convolutions": _distinct("convolutions", "distinct convolutions that ran", True),
    "parameter-modules": _parameter_modules,
    "leaf-modules": _leaf_modules,
    "blocks": _blocks,
}
"""The rules by name; each gives a ``DepthExplanation``."""
