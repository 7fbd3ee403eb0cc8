"""The module tree of a trace, with what makes two modules alike."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_archcheck.drift.writer import config_text
from pytest_archcheck.records import LayerCall, Module, StateTensor
from pytest_archcheck.traces import Trace

_NO_CHILDREN: dict[str, Node] = {}


@dataclass(eq=False, slots=True)
class Node:
    """A module with its children by their own names, its own tensors, and when it was first called."""

    module: Module
    position: tuple[int, int]
    config: str
    """The text of its config."""
    children: dict[str, Node] = field(default_factory=lambda: _NO_CHILDREN)
    state: tuple[StateTensor, ...] = ()
    shape: int = 0
    """Equal for modules of equal tensors and equal children in order, whatever they are called."""
    exact: int = 0
    """Equal for modules of equal class, config, tensors and children, whatever they are called."""
    tensors: int = 0
    """How many tensors it holds, those of its children included."""

    @property
    def name(self) -> str:
        """Qualified name."""
        return self.module.name

    @property
    def key(self) -> str:
        """Its name in what holds it."""
        return self.module.name.rpartition(".")[2]

    @property
    def type(self) -> str:
        """Class name."""
        return self.module.type

    def inside(self) -> Iterator[Node]:
        """The node and all below it, those above first."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += reversed(node.children.values())


def tree_of(trace: Trace, other: Mapping[str, Node] = _NO_CHILDREN) -> dict[str, Node]:
    """Every module of a trace by its name, aliases left out; a module comes before its children.

    ``other`` is the tree of another trace: what both texts have is one object, and not worked out twice.
    """
    called: dict[str, int] = {}
    for position, call in enumerate(trace.calls):
        if isinstance(call, LayerCall):
            called.setdefault(call.module.name, position)
    texts: dict[tuple[str, int], str] = {}  # modules that were built alike share one config
    levels: dict[int, list[Node]] = defaultdict(list)
    for number, module in enumerate(trace.modules):
        if module.same_as is None:
            known = module.type, id(module.config)
            if known not in texts:
                texts[known] = config_text(module)
            place = called.get(module.name, len(trace.calls)), number
            level = module.name.count(".") + 1 if module.name else 0
            levels[level].append(Node(module, place, texts[known]))
    ordered = [node for level in sorted(levels) for node in sorted(levels[level], key=_position)]
    nodes = {node.module.name: node for node in ordered}
    held: dict[str, list[StateTensor]] = defaultdict(list)
    for tensor in trace.state:
        held[_nearest(tensor.name.rpartition(".")[0], nodes)].append(tensor)
    inside: dict[str, list[Node]] = defaultdict(list)
    for node in reversed(ordered):
        name = node.module.name
        node.state = tuple(held.get(name, ()))
        below = inside.pop(name, None)
        twin = other.get(name)
        if twin and twin.module is node.module and twin.state == node.state and not (below or twin.children):
            node.shape, node.exact, node.tensors = twin.shape, twin.exact, twin.tensors
        else:
            _describe(node, below or [])
        if name:
            inside[_nearest(name.rpartition(".")[0], nodes)].append(node)
    return nodes


def _describe(node: Node, below: list[Node]) -> None:
    """Say what makes a node alike to others; ``below`` are its children, the last first."""
    own = tuple([(leaf_of(t, node.name), t.kind, t.spec.shape, t.spec.dtype) for t in node.state])
    below.reverse()
    if below:
        node.children = {child.key: child for child in below}
    cls = node.type if node.module.is_torch and not below else ""
    node.shape = hash((cls, own, tuple([child.shape for child in below])))
    node.exact = hash((node.type, node.config, own, tuple([child.exact for child in below])))
    node.tensors = len(own) + sum([child.tensors for child in below])


def _position(node: Node) -> tuple[int, int]:
    return node.position


def owner_of(tensor: StateTensor, nodes: dict[str, Node]) -> str:
    """The module that a tensor belongs to."""
    return _nearest(tensor.name.rpartition(".")[0], nodes)


def leaf_of(tensor: StateTensor, owner: str) -> str:
    """A tensor's name in its module."""
    return tensor.name.removeprefix(f"{owner}.") if owner else tensor.name


def _nearest(name: str, nodes: dict[str, Node]) -> str:
    """The module of this name, or the nearest above it."""
    while name not in nodes:
        name = name.rpartition(".")[0]
    return name
