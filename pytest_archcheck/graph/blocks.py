"""Blocks and stages: the repeated units that a paper's table names, as (3, 4, 6, 3).

The rule, with the terms of the documentation:

* a *list* is a Sequential, ModuleList or ModuleDict; a module whose two or more children (seen through lists) are all
  of one class that holds at least two weighted layers (DenseNet's dense block); or a module most of whose weighted
  layers lie in one such container of modules of one class that run one after another (timm's stages, which hold a
  downsampling layer beside their blocks);
* a *block* is an outermost module, not a list, of a class that occurs at least twice and holds at least two
  weighted layers;
* a *stage* is a maximal run of consecutive blocks of one class with the same output shape, in order of
  execution.
"""

from __future__ import annotations

from collections import Counter
from functools import cache
from itertools import groupby, pairwise

from pytest_archcheck.records import LayerCall, input_refs
from pytest_archcheck.traces import Trace

_LISTS = {"Sequential", "ModuleList", "ModuleDict"}


def find_stages(trace: Trace) -> tuple[tuple[LayerCall, ...], ...]:
    """The calls of each stage's blocks, in order of execution."""
    blocks = find_blocks(trace)
    runs = groupby(blocks, key=lambda call: (call.type, call.output.shape))
    return tuple(tuple(run) for _, run in runs)


def find_blocks(trace: Trace) -> list[LayerCall]:
    """The first call of every block, in order of execution."""
    names = _Tree(trace).blocks()
    return [call for call in trace.layers if call.number == 1 and call.name in names and call.outputs]


class _Tree:
    """The module tree with the number of weighted layers below each module."""

    def __init__(self, trace: Trace) -> None:
        self.type = {module.name: module.type for module in trace.modules if not module.same_as}
        self.children: dict[str, list[str]] = {name: [] for name in self.type}
        for name in self.type:
            if name:
                self.children.setdefault(name.rpartition(".")[0], []).append(name)
        self.weighted: Counter[str] = Counter()
        for key in {node.key for node in trace.graph.nodes if node.weight}:
            name = key
            while True:
                self.weighted[name] += 1
                if not name:
                    break
                name = name.rpartition(".")[0]
        self.heavy = {self.type[name] for name in self.type if self.weighted[name] >= 2}
        self.trace = trace

    def seen_through(self, name: str) -> list[str]:
        """The children, with plain lists replaced by what they hold."""
        found: list[str] = []
        for child in self.children[name]:
            if self.type[child] in _LISTS:
                found += self.seen_through(child)
            else:
                found.append(child)
        return found

    @cache  # noqa: B019 - lives as long as one question
    def is_list(self, name: str) -> bool:
        if self.type[name] in _LISTS:
            return True
        children = self.seen_through(name)
        types = {self.type[child] for child in children}
        if len(children) >= 2 and len(types) == 1 and types <= self.heavy:
            return True
        return any(
            self.holds_most(name, child) for child in self.children[name] if self.type[child] in _LISTS
        )

    def holds_most(self, name: str, child: str) -> bool:
        """Whether a container holds most of a module's weighted layers, in modules of one class, run in sequence."""
        members = self.seen_through(child)
        types = {self.type[member] for member in members}
        return (
            len(types) == 1
            and types <= self.heavy
            and 2 * self.weighted[child] > self.weighted[name]
            and all(self.follows(first, second) for first, second in pairwise(members))
        )

    def follows(self, first: str, second: str) -> bool:
        """Whether one module takes what another made, with nothing weighted in between."""
        call = self.trace.by_id.get(second)
        ref = next(input_refs(call), None) if call is not None else None
        graph = self.trace.graph
        at = graph.index.get(ref.name) if ref is not None else None
        while at is not None:
            node = graph.nodes[at]
            if f"{node.id}.".replace(":", ".").startswith(f"{first}."):
                return True
            sources = graph.sources(at)
            at = sources[0] if len(sources) == 1 and not node.weight else None
        return False

    def blocks(self) -> set[str]:
        candidates = [name for name in self.type if name and not self.is_list(name)]
        occurs = Counter(self.type[name] for name in candidates)
        found: set[str] = set()
        stack = [""]
        while stack:
            for child in self.children[stack.pop()]:
                is_candidate = not self.is_list(child) and occurs[self.type[child]] >= 2
                if is_candidate and self.type[child] in self.heavy:
                    found.add(child)
                else:
                    stack.append(child)
        return found
