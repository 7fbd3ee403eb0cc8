"""Where data forks, joins and ends: parallel branches, auxiliary heads and dead ends."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_archcheck.graph.dataflow import Graph


@dataclass(frozen=True, slots=True)
class Branch:
    """One of the parallel paths into a call that joins several.

    ``start`` is the call or input that it begins at: one that others use too, that joins branches itself, or an input
    of the model. ``layers`` are the calls in between, in order; ``end`` is the call that joins.
    """

    start: str
    layers: tuple[str, ...]
    end: str


@dataclass(frozen=True, slots=True)
class AuxiliaryHead:
    """An output besides the main one with calls of its own: ``output`` is its path, as in ``".aux"``."""

    output: str
    source: str
    layers: tuple[str, ...]


def find_branches(graph: Graph) -> tuple[Branch, ...]:
    """The branches into every call that computes from two or more, in order of execution.

    An Inception block has four that end in its ``cat``; a residual block two that end in its ``add``, one of which is
    empty where the shortcut is the identity.
    """
    found: list[Branch] = []
    for index, node in enumerate(graph.nodes):
        sources = graph.sources(index)
        if len(sources) >= 2:
            found += [_branch(graph, source, node.id) for source in sources]
    return tuple(found)


def _branch(graph: Graph, start: int, end: str) -> Branch:
    layers: list[str] = []
    at = start
    while graph.consumers[at] == 1 and len(sources := graph.sources(at)) == 1:
        layers.append(graph.nodes[at].id)
        at = sources[0]
    return Branch(graph.nodes[at].id, tuple(reversed(layers)), end)


def find_auxiliary_heads(graph: Graph) -> tuple[AuxiliaryHead, ...]:
    """The outputs that are made by calls which do not feed the main output, each with those calls.

    A further output that is an intermediate result of the main path (a hidden state, a feature map) is no head. A call
    that several heads share is listed with the first.
    """
    found: list[AuxiliaryHead] = []
    known = set(graph.feeds_main_output)
    for output in graph.trace.outputs[1:]:
        index = graph.index.get(output.source.name)
        if index is None or index in graph.feeds_main_output:
            continue
        own = sorted(_reaching(graph, index, known))
        known.update(own)
        layers = tuple(graph.nodes[i].id for i in own if graph.nodes[i].call is not None)
        found.append(AuxiliaryHead(output.path, output.source.name, layers))
    return tuple(found)


def _reaching(graph: Graph, target: int, known: set[int]) -> set[int]:
    """The nodes that a node is computed from, up to known ones."""
    found: set[int] = set()
    stack = [target]
    while stack:
        node = stack.pop()
        if node not in known and node not in found:
            found.add(node)
            stack += [edge.source for edge in graph.nodes[node].edges]
    return found


def find_dead_ends(graph: Graph) -> tuple[str, ...]:
    """The ids of calls on data whose result reaches no output of the model, in order of execution.

    What the forward reads into Python (an assertion on a maximum, say) is among them: no output depends on it by data.
    """
    return tuple(
        node.id
        for index, node in enumerate(graph.nodes)
        if node.call is not None and node.on_data and index not in graph.feeds_an_output
    )
