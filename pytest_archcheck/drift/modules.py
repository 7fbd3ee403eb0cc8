"""Which module of one model is which of another: by name, and where names do not say it by structure.

Modules are paired from the top down. Children of a pair go together

* by name, unless they are numbered and pairing them in sequence leaves fewer differences (a layer that was
  inserted into a ``Sequential`` shifts all that follow);
* then, of those that are left: where one moved into or out of a container beside it under its own name, where only
  the name is another, and where only one of a class is left on both sides.

A module that was put around another (``module.``) is seen through. What is left after all that is paired wherever it
lies, if it is alike: it has moved.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Sequence

from pytest_archcheck.drift.sequences import aligned
from pytest_archcheck.drift.trees import Node, tree_of
from pytest_archcheck.records import lineage
from pytest_archcheck.traces import Trace

_Pair = tuple[Node, Node]
_ALIKE, _NEARLY_ALL = 0.5, 0.9
"""From this share of common children on, two modules are taken for the same under another class."""


class ModulePairs:
    """``new`` has the new name of every old module that has one, ``old`` the old name of every new one."""

    def __init__(self, before: Trace, after: Trace) -> None:
        self.before = tree_of(before)
        self.after = tree_of(after, self.before)
        self.new: dict[str, str] = {}
        self.old: dict[str, str] = {}
        self.second = [_second_names(trace) for trace in (before, after)]
        """Names that stand for a module of another name, in each trace."""
        self._pair(self.before[""], self.after[""])
        self._moved()

    def home(self, old: str) -> str | None:
        """Where an old module is: under its new name, or as the module that its name stands for now."""
        if old in self.new:
            return self.new[old]
        above = next((name for name in reversed(lineage(old)) if name in self.second[1]), None)
        return None if above is None else f"{self.second[1][above]}{old.removeprefix(above)}"

    def is_shared(self, side: int, name: str) -> bool:
        """Whether a module of one trace is in the other a second name of another, or lies in one."""
        return any(above in self.second[1 - side] for above in lineage(name))

    def _pair(self, old: Node, new: Node) -> None:
        waiting = [(old, new)]
        while waiting:
            old, new = _unwrapped(*waiting.pop())
            if old.name in self.new or new.name in self.old:
                continue
            self.new[old.name], self.old[new.name] = new.name, old.name
            waiting += reversed(_children(old, new))

    def _moved(self) -> None:
        """Pair what is left on both sides, the largest first."""
        left = [[node for node in self.before.values() if node.name not in self.new]]
        left.append([node for node in self.after.values() if node.name not in self.old])
        if not all(left):
            return
        known = set(self.new)
        for alike in (_exact, _class_and_shape):
            there: dict[Hashable, list[Node]] = defaultdict(list)
            for node in reversed(left[1]):
                there[alike(node)].append(node)
            for old in sorted(left[0], key=lambda node: -node.tensors):
                free = there.get(alike(old), [])
                while free and free[-1].name in self.old:
                    free.pop()
                if free and old.name not in self.new and (old.tensors or len(free) == 1):
                    self._pair(old, free[-1])
        self._undo_scattered(known)

    def _undo_scattered(self, known: set[str]) -> None:
        """What came to pieces did not move: another network has layers of the same shape here and there."""
        for node in self.before.values():
            above = node.name.rpartition(".")[0]
            if node.name in self.new or not (above in known or not node.name):
                continue
            moved = [inner for inner in node.inside() if inner.name in self.new and inner.name not in known]
            if 2 * sum(len(inner.state) for inner in moved) < node.tensors:
                for inner in moved:
                    del self.old[self.new.pop(inner.name)]


def _second_names(trace: Trace) -> dict[str, str]:
    return {module.name: module.same_as for module in trace.modules if module.same_as is not None}


def _unwrapped(old: Node, new: Node) -> _Pair:
    """The pair itself, or what lies in a module that was put around one of them."""
    while True:
        here = _likeness(old, new)
        if here >= _ALIKE:
            return old, new
        inner = max(
            ((_likeness(old, child), child) for child in new.children.values()), default=None, key=_first
        )
        outer = max(
            ((_likeness(child, new), child) for child in old.children.values()), default=None, key=_first
        )
        needed = (
            _ALIKE if here == 0 else _NEARLY_ALL
        )  # some children stayed: others moved into one beside them
        if inner and inner[0] >= needed and (not outer or inner[0] >= outer[0]):
            new = inner[1]
        elif outer and outer[0] >= needed:
            old = outer[1]
        else:
            return old, new


def _first(scored: tuple[float, Node]) -> float:
    return scored[0]


def _likeness(old: Node, new: Node) -> float:
    """From 0 to 1: how far two modules are the same, without a look at how they are called."""
    if old.type == new.type and old.shape == new.shape:
        return 1.0
    if not old.children and not new.children:
        return _ALIKE if old.type == new.type else 0.0
    if old.shape == new.shape:
        return 0.9
    if not (old.children and new.children):
        return 0.0
    common = sum(
        _is_alike(old.children[key], child) for key, child in new.children.items() if key in old.children
    )
    return 0.9 * common / max(len(old.children), len(new.children))


def _is_alike(old: Node, new: Node) -> bool:
    return old.shape == new.shape or old.type == new.type


def _children(old: Node, new: Node) -> list[_Pair]:
    """The children of two modules that are the same."""
    pairs = [(child, new.children[key]) for key, child in old.children.items() if key in new.children]
    if _is_numbered(old) and _is_numbered(new):
        sequence = [list(node.children.values()) for node in (old, new)]
        if _differences(pairs, *sequence):
            shifted = _in_sequence(*sequence)
            if _differences(shifted, *sequence) < _differences(pairs, *sequence):
                pairs = shifted
    taken = {id(node) for pair in pairs for node in pair}
    left = [[child for child in node.children.values() if id(child) not in taken] for node in (old, new)]
    return pairs + _renamed(*left)


def _is_numbered(node: Node) -> bool:
    return bool(node.children) and all(map(str.isdecimal, node.children))


def _differences(pairs: Sequence[_Pair], old: Sequence[Node], new: Sequence[Node]) -> int:
    """How much a pairing leaves to be explained: pairs that differ, and what is in none."""
    return sum(a.shape != b.shape for a, b in pairs) + len(old) + len(new) - 2 * len(pairs)


def _in_sequence(old: list[Node], new: list[Node]) -> list[_Pair]:
    """Pair equal ones in order; of what lies between, as many as there are on both sides."""
    pairs: list[_Pair] = []
    for tag, i1, i2, j1, j2 in aligned([node.shape for node in old], [node.shape for node in new]):
        if tag == "equal" or (tag == "replace" and i2 - i1 == j2 - j1):
            pairs += zip(old[i1:i2], new[j1:j2], strict=True)
    return pairs


def _renamed(old: list[Node], new: list[Node]) -> list[_Pair]:
    """Pairs among children whose names are found on one side only."""
    if not old or not new:
        return []
    by_key = [{node.key: node for node in side} for side in (old, new)]
    pairs = [
        pair
        for pair in (
            *((by_key[0][key], inner) for b in new for key, inner in b.children.items() if key in by_key[0]),
            *((inner, by_key[1][key]) for a in old for key, inner in a.children.items() if key in by_key[1]),
        )
        if _is_alike(*pair)
    ]
    taken = {id(node) for pair in pairs for node in pair}
    for alike in (_exact, _class_and_shape, _shape):
        there = defaultdict(list)
        for node in sorted(new, key=_position, reverse=True):
            if id(node) not in taken:
                there[alike(node)].append(node)
        for node in sorted(old, key=_position):
            if id(node) not in taken and there.get(alike(node)):
                pairs.append((node, there[alike(node)].pop()))
                taken |= {id(pairs[-1][0]), id(pairs[-1][1])}
    rest = [_only([node for node in side if id(node) not in taken]) for side in (old, new)]
    alone = [(rest[0][cls], rest[1][cls]) for cls in rest[0] if cls in rest[1]]
    return pairs + [pair for pair in alone if _likeness(*pair) >= _ALIKE]


def _exact(node: Node) -> Hashable:
    return node.exact


def _class_and_shape(node: Node) -> Hashable:
    return node.type, node.shape


def _shape(node: Node) -> Hashable:
    """Without tensors, modules of different classes have nothing in common."""
    return node.shape if node.tensors else node.name


def _position(node: Node) -> tuple[int, int]:
    return node.position


def _only(nodes: Iterable[Node]) -> dict[str, Node]:
    """Those that are alone of their class."""
    by_class = defaultdict(list)
    for node in nodes:
        by_class[node.type].append(node)
    return {cls: found[0] for cls, found in by_class.items() if len(found) == 1}
