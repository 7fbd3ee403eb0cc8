"""What each repeated block does to its tensor: the analysis that tutorials give for ResNet-50's bottlenecks."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_archcheck.graph.dataflow import Graph
from pytest_archcheck.graph.windows import strides_of
from pytest_archcheck.records import LayerCall
from pytest_archcheck.traces import Trace


@dataclass(frozen=True, slots=True)
class Block:
    """One repeated block.

    Shapes are those of its first tensor argument and of its first result, without the batch dimension: ``(C, H, W)``
    for images. ``inner`` is the width inside: of the weighted layers on the block's longest path but the last, the
    output width (channels of a convolution, features of a linear layer) that differs most from the block's own; 64 in
    ResNet-50's first stage, 4 × the width in a transformer; ``None`` where the path holds a single layer.
    ``stride`` is how much smaller the result is than the input along the first spatial axis, and ``strided`` names the
    calls on the path that make it so: ResNet v1.5 has it on ``conv2``, v1 on ``conv1``. ``shortcuts`` are the kinds of
    the shortcuts inside, in order.
    """

    name: str
    type: str
    stage: int
    kind: str
    input: tuple[int, ...]
    output: tuple[int, ...]
    inner: int | None
    stride: int | float
    strided: tuple[str, ...]
    shortcuts: tuple[str, ...]


def describe_blocks(trace: Trace) -> tuple[Block, ...]:
    """Every block in order of execution; ``kind`` is ``"shape-keeping"`` or ``"shape-changing"``."""
    stages = [(number, call) for number, stage in enumerate(trace.stage_calls, 1) for call in stage]
    inside = _inside(trace.graph, {call.name for _, call in stages})
    shortcuts: dict[str, list[str]] = {call.name: [] for _, call in stages}
    owner = {trace.graph.nodes[index].id: name for name, nodes in inside.items() for index in nodes}
    for shortcut in trace.shortcuts:
        if shortcut.sum in owner:
            shortcuts[owner[shortcut.sum]].append(shortcut.kind)
    return tuple(
        _block(trace.graph, call, number, inside[call.name], tuple(shortcuts[call.name]), trace.graph.gates)
        for number, call in stages
    )


def _inside(graph: Graph, blocks: set[str]) -> dict[str, list[int]]:
    """The nodes of each block, in order of execution."""
    found: dict[str, list[int]] = {name: [] for name in blocks}
    for index, node in enumerate(graph.nodes):
        if node.call is None:
            continue
        scope = node.call.name if isinstance(node.call, LayerCall) else node.call.scope
        while scope and scope not in blocks:
            scope = scope.rpartition(".")[0]
        if scope:
            found[scope].append(index)
    return found


def _block(
    graph: Graph,
    call: LayerCall,
    stage: int,
    nodes: list[int],
    shortcuts: tuple[str, ...],
    gates: frozenset[tuple[int, int]],
) -> Block:
    before, after = call.inputs[0].shape[1:] if call.inputs else (), call.output.shape[1:]
    path = _path(graph, call, nodes, gates)
    widths = [_width(graph, index) for index in path if graph.nodes[index].weight]
    own = widths[-1] if widths else 1
    inner = max(widths[:-1], key=lambda width: max(width / own, own / width), default=None)
    strided = tuple(graph.nodes[i].id for i in path if any(step > 1 for step in _strides(graph, i)))
    stride = before[1] / after[1] if len(before) == len(after) >= 2 and after[1] else 1
    return Block(
        name=call.name,
        type=call.type,
        stage=stage,
        kind="shape-keeping" if before == after else "shape-changing",
        input=before,
        output=after,
        inner=inner,
        stride=int(stride) if stride == int(stride) else stride,
        strided=strided,
        shortcuts=shortcuts,
    )


def _path(graph: Graph, call: LayerCall, nodes: list[int], gates: frozenset[tuple[int, int]]) -> list[int]:
    """All calls on the block's longest path, not through gates, in order."""
    members = set(nodes)
    best: dict[int, int] = {}
    back: dict[int, int | None] = {}
    for index in nodes:
        node = graph.nodes[index]
        inner = [e.source for e in node.edges if e.source in members and (index, e.position) not in gates]
        via = max(inner, key=lambda source: best[source], default=None)
        best[index] = (0 if via is None else best[via]) + node.weight
        back[index] = via
    source = call.sources[0].name if call.sources else call.id
    at = graph.index.get(source)
    path: list[int] = []
    while at is not None and at in members:
        path.append(at)
        at = back[at]
    return path[::-1]


def _width(graph: Graph, index: int) -> int:
    node = graph.nodes[index]
    assert node.call is not None
    shape = node.call.output.shape
    return shape[1] if node.convolution and len(shape) > 1 else shape[-1]


def _strides(graph: Graph, index: int) -> tuple[float, ...]:
    call = graph.nodes[index].call
    return tuple(map(float, strides_of(call))) if call is not None else ()
