"""The depth conventions that come with the package.

Sources: ``paper`` is how the ResNet (arXiv 1512.03385), VGG (1409.1556), DenseNet (1608.06993) and GoogLeNet
(1409.4842) papers count; ``longest-path`` is MATLAB's "largest number of sequential convolutional or fully connected
layers on a path from the input layer to the output layer"; ``convolutions`` is Wide ResNet's (1605.07146);
``parameter-modules`` is Keras Applications' "number of layers with parameters"; ``blocks`` is how transformers are
named.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from pytest_archcheck.graph.depth import LeftOut
from pytest_archcheck.records import LayerCall
from pytest_archcheck.traces import Trace


def _paper(trace: Trace) -> Iterator[tuple[str, int]]:
    """Weighted layers in sequence, not through gates."""
    yield from trace.longest_path()


def _longest_path(trace: Trace) -> Iterator[tuple[str, int]]:
    """Weighted layers in sequence, gates included."""
    yield from trace.longest_path(through_gates=True)


def _weighted(trace: Trace) -> Iterator[str]:
    """Distinct weighted layers that ran."""
    first = {trace.graph.nodes[index].key: index for index in reversed(trace.graph.weighted)}
    yield from (trace.graph.nodes[index].id for index in sorted(first.values()))


def _convolutions(trace: Trace) -> Iterator[str | LeftOut]:
    """Distinct convolutions that ran."""
    convolutions = {node.id for node in trace.graph.nodes if node.convolution}
    for name in _weighted(trace):
        yield name if name in convolutions else LeftOut(name, "not a convolution")


def _parameter_modules(trace: Trace) -> Iterator[str]:
    """Modules that own parameters, run or not."""
    owners = {tensor.name.rpartition(".")[0] for tensor in trace.state if tensor.kind == "param"}
    yield from _in_order(trace, [m.name for m in trace.modules if m.name in owners and not m.same_as])


def _leaf_modules(trace: Trace) -> Iterator[str]:
    """Modules without children."""
    parents = {module.name.rpartition(".")[0] for module in trace.modules if module.name}
    yield from _in_order(trace, [m.name for m in trace.modules if m.name not in parents and not m.same_as])


def _in_order(trace: Trace, names: list[str]) -> list[str]:
    """Modules in order of execution, those that were not called at the end, by name."""
    place = {
        call.module.name: place
        for place, call in reversed(list(enumerate(trace.calls)))
        if isinstance(call, LayerCall)
    }
    return [name or "." for name in sorted(names, key=lambda name: (place.get(name, len(trace.calls)), name))]


def _blocks(trace: Trace) -> Iterator[str]:
    """Repeated blocks, over all stages."""
    yield from (block.name for stage in trace.stage_calls for block in stage)


RULES: dict[str, Callable[[Trace], Iterator[str | tuple[str, int] | LeftOut]]] = {
    "paper": _paper,
    "longest-path": _longest_path,
    "weighted": _weighted,
    "convolutions": _convolutions,
    "parameter-modules": _parameter_modules,
    "leaf-modules": _leaf_modules,
    "blocks": _blocks,
}
