"""Blocks and stages: the repeated units that a paper's table names, as (3, 4, 6, 3).

The rule, with the terms of the documentation:

* a *list* is a Sequential, ModuleList or ModuleDict, or a module whose two or more children (seen through
  lists) are all of one class that holds at least two weighted layers (DenseNet's dense block);
* a *block* is an outermost module, not a list, of a class that occurs at least twice and holds at least two
  weighted layers;
* a *stage* is a maximal run of consecutive blocks of one class with the same output shape, in order of
  execution.
"""

from __future__ import annotations

from collections import Counter
from itertools import groupby

from pytest_archcheck.records import LayerCall
from pytest_archcheck.traces import Trace

_LISTS = {"Sequential", "ModuleList", "ModuleDict"}


def find_stages(trace: Trace) -> list[list[LayerCall]]:
    """The calls of each stage's blocks, in order of execution."""
    blocks = find_blocks(trace)
    runs = groupby(blocks, key=lambda call: (call.type, call.output.shape))
    return [list(run) for _, run in runs]


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

    def seen_through(self, name: str) -> list[str]:
        """The children, with plain lists replaced by what they hold."""
        found: list[str] = []
        for child in self.children[name]:
            if self.type[child] in _LISTS:
                found += self.seen_through(child)
            else:
                found.append(child)
        return found

    def is_list(self, name: str) -> bool:
        if self.type[name] in _LISTS:
            return True
        children = self.seen_through(name)
        types = {self.type[child] for child in children}
        return len(children) >= 2 and len(types) == 1 and types <= self.heavy

    def blocks(self) -> set[str]:
        candidates = [name for name in self.type if name and not self.is_list(name)]
        occurs = Counter(self.type[name] for name in candidates)
        found: set[str] = set()
        stack = [""]
        while stack:
            for child in self.children[stack.pop()]:
                is_candidate = not self.is_list(child) and occurs[self.type[child]] >= 2
                if is_candidate and self.weighted[child] >= 2:
                    found.add(child)
                else:
                    stack.append(child)
        return found
