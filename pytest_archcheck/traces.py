"""The trace: the frozen record of one forward, and the questions that can be put to it.

It holds ``records``; what is derived (MACs, depth, text) ``costs``, ``graph`` and ``drift`` compute on demand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from pytest_archcheck.errors import noted
from pytest_archcheck.names import nearest
from pytest_archcheck.records import Call, LayerCall, Module, Op, Output, Section, StateTensor, TensorSpec

if TYPE_CHECKING:
    from pytest_archcheck.costs.activations import Activations
    from pytest_archcheck.costs.macs import MacCount
    from pytest_archcheck.costs.parameters import ParameterCount
    from pytest_archcheck.graph.bottlenecks import Block
    from pytest_archcheck.graph.branches import AuxiliaryHead, Branch
    from pytest_archcheck.graph.dataflow import Graph
    from pytest_archcheck.graph.depth import DepthExplanation
    from pytest_archcheck.graph.gradients import UnusedParameter
    from pytest_archcheck.graph.receptive import ReceptiveField
    from pytest_archcheck.graph.shortcuts import Shortcut
    from pytest_archcheck.matching.results import Match


@dataclass(frozen=True, eq=False)
class Trace:
    """The frozen record of one forward.

    Two traces are equal when their canonical text is. Not part of that are ``placement``, ``notes`` (which rungs of the
    placement ladder failed, and why) and ``sections`` (what a file holds that this release does not know).
    """

    model: Module
    training: bool
    inputs: tuple[TensorSpec, ...]
    calls: tuple[Call, ...]
    outputs: tuple[Output, ...]
    modules: tuple[Module, ...]
    state: tuple[StateTensor, ...]
    placement: str = ""
    notes: tuple[str, ...] = ()
    sections: tuple[Section, ...] = ()

    @cached_property
    def layers(self) -> tuple[LayerCall, ...]:
        """Layer calls in order of execution, a module before what it calls."""
        return tuple(call for call in self.calls if isinstance(call, LayerCall))

    @cached_property
    def ops(self) -> tuple[Op, ...]:
        """Function calls in order of execution."""
        return tuple(call for call in self.calls if isinstance(call, Op))

    @cached_property
    def by_id(self) -> Mapping[str, Call]:
        """Every call by its id."""
        return {call.id: call for call in self.calls}

    def __getitem__(self, name: str) -> Call:
        """The call with this id, as in ``trace["layer1.0.conv1"]``.

        Raises:
            KeyError: no such call ran; the message names the nearest ones.
        """
        if name not in self.by_id:
            found = f"{self.model.type}{nearest(str(name), self.by_id) or '; trace.by_id has their names'}"
            raise noted(KeyError(f"no call {name!r} among the {len(self)} calls of {found}"), "trace")
        return self.by_id[name]

    def __contains__(self, name: object) -> bool:
        return name in self.by_id

    def __iter__(self) -> Iterator[Call]:
        return iter(self.calls)

    def __len__(self) -> int:
        return len(self.calls)

    @property
    def output(self) -> Output:
        """The main output: the first tensor that the model returned."""
        return self.outputs[0]

    @property
    def params(self) -> ParameterCount:
        """Parameters of the whole model, tied ones once; those of modules hidden in plain lists are not its own."""
        from pytest_archcheck.costs.parameters import count_parameters

        return count_parameters(tensor for tensor in self.state if tensor.saved or tensor.kind != "param")

    @cached_property
    def mac_count(self) -> MacCount:
        """Multiply-accumulates per call, module and type and in total, and what could not be counted."""
        return self.count("macs")

    def count(self, counter: str) -> MacCount:
        """What the forward costs under a way of counting: ``"macs"``, ``"flops"`` (2 × MACs) or ``"fvcore"``.

        Raises:
            UsageError: there is no such counter, or it runs the model itself (see ``count``).
        """
        from pytest_archcheck.costs.counters import count

        return count(self, counter)

    def backward(self, *, input_grad: bool = False) -> MacCount:
        """Multiply-accumulates of one backward from all outputs, with ``input_grad`` also that of the model's inputs.

        ``macs`` plus this is a training step.
        """
        from pytest_archcheck.costs.backward import count_backward

        return count_backward(self, input_grad)

    @cached_property
    def activations(self) -> Activations:
        """Bytes that every call returns, and an estimate of the most that is alive at once."""
        from pytest_archcheck.costs.activations import measure_activations

        return measure_activations(self)

    @property
    def macs(self) -> int:
        """Multiply-accumulates of the forward; see ``status`` for whether that is all of them."""
        return self.mac_count.total

    @property
    def flops(self) -> int:
        """Floating-point operations: 2 × MACs, by this project's definition."""
        return 2 * self.macs

    @property
    def size(self) -> int:
        """Bytes of the parameters and buffers that the state dict saves, tied ones once."""
        from pytest_archcheck.costs.parameters import state_bytes

        return state_bytes(self.state)

    @property
    def status(self) -> str:
        """``"complete"``, or ``"partial: …"`` with the names of what was not counted."""
        return self.mac_count.status

    def depth(self, convention: str) -> int:
        """The model's depth under a named convention, see ``graph.conventions``.

        Raises:
            UsageError: there is no convention of that name.
        """
        return self.explain_depth(convention).depth

    def explain_depth(self, convention: str) -> DepthExplanation:
        """What a convention counted, in order, and what it left out, with the reason."""
        from pytest_archcheck.graph.conventions import explain_depth

        return explain_depth(self, convention)

    def longest_path(
        self, weigh: Callable[[Call, int], int] | None = None, *, through_gates: bool = False
    ) -> tuple[tuple[str, int], ...]:
        """The calls on the heaviest path from an input to the main output, in order, each with what it weighs.

        ``weigh`` gives what a call weighs, from the call and how many weighted layers it is; by default the latter.
        With ``through_gates`` a path may run through what computes a gate.
        """
        from pytest_archcheck.graph.depth import weigh_path

        return weigh_path(self.graph, weigh, through_gates)

    @cached_property
    def graph(self) -> Graph:
        """The data flow between the calls."""
        from pytest_archcheck.graph.dataflow import Graph

        return Graph(self)

    @cached_property
    def stages(self) -> tuple[int, ...]:
        """Number of blocks in each stage: ``(2, 2, 2, 2)`` for ResNet-18."""
        return tuple(len(stage) for stage in self.stage_calls)

    @cached_property
    def stage_calls(self) -> tuple[tuple[LayerCall, ...], ...]:
        """The first call of every repeated block, by stage."""
        from pytest_archcheck.graph.blocks import find_stages

        return find_stages(self)

    @cached_property
    def blocks(self) -> tuple[Block, ...]:
        """The repeated blocks in order of execution, each with its shapes, inner width, stride and shortcut."""
        from pytest_archcheck.graph.bottlenecks import describe_blocks

        return describe_blocks(self)

    @cached_property
    def shortcuts(self) -> tuple[Shortcut, ...]:
        """The shorter path of every residual sum: identity, projection, padding or resampled."""
        from pytest_archcheck.graph.shortcuts import find_shortcuts

        return find_shortcuts(self.graph)

    @cached_property
    def branches(self) -> tuple[Branch, ...]:
        """The parallel paths into every call that joins several."""
        from pytest_archcheck.graph.branches import find_branches

        return find_branches(self.graph)

    @cached_property
    def auxiliary_heads(self) -> tuple[AuxiliaryHead, ...]:
        """The outputs, besides the main one, that have calls of their own."""
        from pytest_archcheck.graph.branches import find_auxiliary_heads

        return find_auxiliary_heads(self.graph)

    @cached_property
    def dead_ends(self) -> tuple[str, ...]:
        """The ids of calls on data whose result reaches no output."""
        from pytest_archcheck.graph.branches import find_dead_ends

        return find_dead_ends(self.graph)

    @cached_property
    def unused_parameters(self) -> tuple[UnusedParameter, ...]:
        """The trainable parameters that no output depends on, each with the reason, by data flow alone."""
        from pytest_archcheck.graph.gradients import find_unused_parameters

        return find_unused_parameters(self)

    def receptive_field(self, at: str | None = None) -> ReceptiveField | None:
        """How many input positions one position of a call's output sees; by default of the main output.

        ``None`` where no convolution or pooling lies before it.

        Raises:
            KeyError: no such call ran.
        """
        from pytest_archcheck.graph.receptive import receptive_field

        return receptive_field(self.graph, None if at is None else self.made_by(at))

    def made_by(self, name: str) -> str:
        """The id of the atomic call or op that made the first tensor which a call returned.

        Raises:
            KeyError: no such call ran.
        """
        call = self[name]
        return call.sources[0].name if isinstance(call, LayerCall) and call.sources else call.id

    def same_as(self, reference: Trace) -> Match:
        """Whether two models have the same architecture up to names; see ``matching.compare``."""
        from pytest_archcheck.matching.compare import match

        return match(self, reference)

    def to_text(self) -> str:
        """The canonical ``.arch`` text, with derived numbers as comments."""
        from pytest_archcheck.drift.writer import write

        return write(self)

    @classmethod
    def from_text(cls, text: str) -> Trace:
        """The trace that a text records.

        Raises:
            FormatError: the text is not a valid ``.arch`` file; the line is named.
        """
        from pytest_archcheck.drift.reader import read

        return read(text)

    @cached_property
    def record_text(self) -> str:
        """The canonical text without the derived numbers: what equality compares."""
        from pytest_archcheck.drift.writer import write

        return write(self, derived=False)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Trace):
            return NotImplemented
        return self.record_text == other.record_text

    def __hash__(self) -> int:
        return hash(self.record_text)

    def __repr__(self) -> str:
        return (
            f"<Trace of {self.model.type}: {len(self.layers)} layer calls, {len(self.ops)} ops, "
            f"{self.params.total} parameters, {self.macs} MACs ({self.status})>"
        )
