"""A model as a picture: nodes, edges and nested clusters, few enough for one page; plain data for any renderer.

Inputs and outputs are nodes; what does not depend on the inputs is left out. Every call on data lies in one node, so
that the layers, parameters and MACs of all nodes sum up to the trace's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from pytest_archcheck.collector import collector_off
from pytest_archcheck.drift.severity import Severity
from pytest_archcheck.graph.cells import LEVELS
from pytest_archcheck.graph.outline import outline
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from pytest_archcheck.drift.compare import Drift

MOST_NODES = 80
MOST_EDGES = 140
"""With more of either a picture is drawn with less detail."""


@dataclass(frozen=True, slots=True)
class Node:
    """One box: an input, an output, a call with what follows it, or a module with all inside.

    ``name`` is the id of the first call, or a span of ids; ``title`` the same without the name of the cluster around
    it, empty for a function. ``what`` says what it is, ``then`` the calls that follow it in the same box, ``output``
    the shape without the batch dimension. ``kind`` is one of ``KINDS``. ``times`` is how often it follows itself, and
    ``copies`` how often it is there in all, in folded clusters around it too; ``depth``, ``params`` and ``macs`` are
    those of all copies, ``counted`` the layers that the convention counts. ``shortcuts`` are the kinds of those that
    lie inside. ``severity`` and ``changes`` are those of a drift.
    """

    id: str
    name: str
    title: str
    what: str
    then: tuple[str, ...] = ()
    output: str = ""
    kind: str = "op"
    times: int = 1
    copies: int = 1
    depth: int = 0
    params: int = 0
    macs: int = 0
    counted: tuple[str, ...] = ()
    shortcuts: tuple[str, ...] = ()
    on_path: bool = False
    severity: Severity | None = None
    changes: tuple[str, ...] = ()


KINDS = ("input", "output", "weighted", "sum", "norm", "op", "module", "block", "gone")
"""``module`` and ``block`` hold calls that are not shown; ``gone`` is a call that only the model before had."""


@dataclass(frozen=True, slots=True)
class Edge:
    """Data that flows from one node to another; ``shortcut`` is the kind of the shortcut that it belongs to."""

    source: str
    target: str
    shortcut: str = ""
    on_path: bool = False


@dataclass(frozen=True, slots=True)
class Cluster:
    """A module that is open; the rest is as for a node, and ``changes`` are those of the module itself."""

    id: str
    name: str
    title: str
    what: str
    output: str
    times: int
    copies: int
    depth: int
    members: tuple[Member, ...]
    is_block: bool = False
    severity: Severity | None = None
    changes: tuple[str, ...] = ()

    @property
    def nodes(self) -> Iterator[Node]:
        """All nodes inside, in order."""
        return nodes_in(self.members)


Member: TypeAlias = "Node | Cluster"


@dataclass(frozen=True, slots=True)
class Picture:
    """All of it; ``notes`` are lines for what has no place in the picture."""

    model: str
    convention: str
    depth: int
    params: int
    macs: int
    status: str
    members: tuple[Member, ...]
    edges: tuple[Edge, ...]
    verdict: str = ""
    notes: tuple[str, ...] = ()

    @property
    def nodes(self) -> tuple[Node, ...]:
        """All nodes, in order."""
        return tuple(nodes_in(self.members))


def nodes_in(members: tuple[Member, ...]) -> Iterator[Node]:
    """The nodes among members and inside of clusters, in order."""
    for member in members:
        if isinstance(member, Cluster):
            yield from nodes_in(member.members)
        else:
            yield member


@collector_off()
def picture(trace: Trace, drift: Drift | None = None, convention: str = "paper") -> Picture:
    """The picture of a trace: the most detailed one of at most ``MOST_NODES`` nodes and ``MOST_EDGES`` edges.

    ``drift`` is one that leads to this trace: its causes are told at the nodes they are in.

    Raises:
        UsageError: there is no convention of that name.
    """
    from pytest_archcheck.graph.sketch import Subject

    subject = Subject(trace, outline(trace, convention), drift, convention)
    for level in LEVELS:
        found = subject.picture(level)
        if len(found.nodes) <= MOST_NODES and len(found.edges) <= MOST_EDGES:
            break
    return found
