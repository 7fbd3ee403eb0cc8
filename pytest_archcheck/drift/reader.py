"""Read ``.arch`` text back into a trace: data only, no code runs, and an error names its line.

A line is first read by itself (``statements``), then put in its place and held against the others (``_Reader``).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from pytest_archcheck.collector import collector_off
from pytest_archcheck.drift.statements import Statement, read_statement
from pytest_archcheck.drift.tokens import Problem, Tokens, fail
from pytest_archcheck.drift.writer import FORMAT_VERSION, SECTION_INDENT
from pytest_archcheck.errors import FormatError, noted
from pytest_archcheck.records import (
    Call,
    LayerCall,
    Module,
    Op,
    Output,
    Ref,
    Section,
    StateTensor,
    TensorSpec,
    input_refs,
)
from pytest_archcheck.traces import Trace

_CONFLICT = re.compile(r"(<{7}|={7}|>{7}|\|{7})( |$)")


@dataclass(frozen=True)
class Known:
    """What was read before, for two texts that are nearly the same: what both have is one object in both traces."""

    lines: dict[str, Statement] = field(default_factory=dict)
    calls: dict[int, Call] = field(default_factory=dict)
    """The completed call of a line's, by id."""
    configs: dict[tuple[str, ...], Any] = field(default_factory=dict)


@collector_off()
def read(text: str, known: Known | None = None) -> Trace:
    """The trace that a text records; derived numbers in it are ignored.

    Args:
        text: the content of an ``.arch`` file.
        known: what another text had; what this one has is added.

    Raises:
        FormatError: the text is not valid; the message names the line and what was expected.
    """
    if not isinstance(text, str):
        raise noted(
            TypeError(f"expected the text of an .arch file, found {type(text).__name__}; read it first"),
            "format",
        )
    if not text.strip():
        raise FormatError(
            f"line 1: the text is empty; expected 'archcheck {FORMAT_VERSION}': restore it, or record it anew",
            see="format",
        )
    text = text.removeprefix("\ufeff")
    reader = _Reader(known or Known())
    line = ""
    try:
        for number, line in enumerate(text.split("\n"), start=1):
            reader.number = number
            reader.line(line.rstrip())
        return reader.trace()
    except Problem as problem:
        shown = f": {line.rstrip()[:120]!r}" if not reader.whole else ""
        raise FormatError(f"line {reader.number}: {problem}{shown}", see="format") from None


class _Reader:
    def __init__(self, known: Known) -> None:
        self.known = known
        self.number = 0
        self.last = 0
        self.whole = False
        """Whether all lines were read: what is wrong then is how they fit together."""
        self.model: Module | None = None
        self.training = False
        self.inputs: list[TensorSpec] = []
        self.calls: dict[str, tuple[int, Call]] = {}
        self.outputs: list[tuple[int, Output]] = []
        self.modules: dict[str, tuple[int, Module]] = {}
        self.state: dict[str, tuple[int, StateTensor]] = {}
        self.sections: list[tuple[str, list[str]]] = []
        self.made: dict[str, tuple[TensorSpec, ...]] = {}
        self.counts: dict[str, int] = {}

    def line(self, line: str) -> None:
        """Take in the next line."""
        if self.number == 1:
            _header(line)
        elif self.last:
            if line:
                fail("nothing may follow the line 'end'")
        elif line == "end":
            self.last = self.number
        elif _CONFLICT.match(line):
            fail(
                "a merge conflict is not resolved; resolve it, or record the snapshot anew with --snapshot-update"
            )
        elif self.sections and (line.startswith(SECTION_INDENT) or not line):
            self.sections[-1][1].append(line.removeprefix(SECTION_INDENT))
        elif line and not line.startswith("# "):
            statement = self.known.lines.get(line)
            if statement is None:
                statement = self.known.lines[line] = read_statement(Tokens(line, self.known.configs))
            self.add(statement)

    def add(self, statement: Statement) -> None:
        """Put what a line says in its place."""
        kind, *parts = statement
        if (kind == "model") is not (self.model is None):
            fail(
                "expected 'model' in line 2 and nowhere else"
                if kind == "model"
                else "expected the line of the model"
            )
        if self.sections and kind != "section":
            fail(
                f"expected a section's lines, which begin with {len(SECTION_INDENT)} spaces, a section or 'end'"
            )
        getattr(self, f"_{kind}")(*parts)

    def _model(self, model: Module, training: bool) -> None:
        self.model, self.training = model, training
        self.modules[""] = self.number, model

    def _input(self, spec: TensorSpec) -> None:
        self._make(f"in:{spec.path}", (TensorSpec(spec.shape, spec.dtype),))
        self.inputs.append(spec)

    def _output(self, output: Output) -> None:
        for number, other in self.outputs:
            if other.path == output.path:
                fail(f"output {output.path} stands twice, first in line {number}")
        self.outputs.append((self.number, output))

    def _module(self, module: Module) -> None:
        if module.name in self.modules:
            fail(f"module {module.name} stands twice, first in line {self.modules[module.name][0]}")
        self.modules[module.name] = self.number, module

    def _state(self, tensor: StateTensor) -> None:
        if tensor.name in self.state:
            fail(f"{tensor.kind} {tensor.name} stands twice, first in line {self.state[tensor.name][0]}")
        self._make(f"{tensor.kind}:{tensor.name}", (tensor.spec,))
        self.state[tensor.name] = self.number, tensor

    def _section(self, title: str) -> None:
        self.sections.append((title, []))

    def _call(self, call_id: str, call: Call) -> None:
        if call_id in self.calls:
            fail(f"{call_id} stands twice, first in line {self.calls[call_id][0]}")
        # the model's own call has no line where it has children
        if call.number != self.counts.get(call.name, int(call.name == "." and call.number > 1)) + 1:
            fail(
                f"{call_id} is call {call.number} of {call.name}, expected call {self.counts.get(call.name, 0) + 1}"
            )
        self.counts[call.name] = call.number
        if isinstance(call, LayerCall):
            line, module = self.modules.setdefault(call.module.name, (self.number, call.module))
            if module is not call.module and module != call.module and call.module.name:
                fail(f"{call.name} has another class or other settings than in line {line}")
        if isinstance(call, Op) or call.atomic:
            self._make(call_id, call.outputs)
        self.calls[call_id] = self.number, call

    def _make(self, name: str, specs: tuple[TensorSpec, ...]) -> None:
        if name in self.made:
            fail(f"{name} stands twice")
        self.made[name] = specs

    # -- all lines together ----------------------------------------------------------------------------

    def trace(self) -> Trace:
        """The trace of all lines, which have to fit together."""
        self.whole = True
        if not self.last:
            fail("the text ends before the line 'end'; is it cut off?")
        self.number = self.last
        if self.model is None:
            fail("expected the line of the model")
        if not self.outputs:
            fail("expected the line of an output")
        own: dict[str, list[StateTensor]] = {}
        for number, tensor in self.state.values():
            self.number = number
            own.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
            if tensor.tied_to is not None and tensor.tied_to not in self.state:
                fail(f"{tensor.name} is tied to {tensor.tied_to}, which nothing in the text declares")
            if tensor.tied_to is not None and self.state[tensor.tied_to][1].spec != tensor.spec:
                fail(f"{tensor.name} is tied to {tensor.tied_to}, which has another shape or dtype")
        calls = tuple(self._complete(number, call, own) for number, call in self.calls.values())
        for number, output in self.outputs:
            self.number = number
            (made,) = self._specs([output.source])
            if (made.shape, made.dtype) != (output.shape, output.dtype):
                fail(f"output {output.path} is not what %{output.source.name} makes")
        modules = []
        for number, module in self.modules.values():
            self.number = number
            if module.same_as is not None:
                if module.same_as not in self.modules:
                    fail(f"{module.name} is the same as {module.same_as}, which nothing in the text declares")
                original = self.modules[module.same_as][1]
                module = Module(module.name, original.type, {}, module.same_as)  # noqa: PLW2901
            modules.append(module)
        sections = tuple(Section(title, tuple(lines)) for title, lines in self.sections)
        return Trace(
            self.model,
            self.training,
            tuple(self.inputs),
            calls,
            tuple(output for _, output in self.outputs),
            tuple(modules),
            tuple(tensor for _, tensor in self.state.values()),
            sections=sections,
        )

    def _specs(self, refs: Iterable[Ref]) -> tuple[TensorSpec, ...]:
        """The specs of tensors, which the text gives by reference."""
        found = []
        for ref in refs:
            made = self.made.get(ref.name, ())
            if ref.index >= len(made):
                fail(f"%{ref.name} refers to a tensor that nothing in the text makes")
            found.append(made[ref.index])
        return tuple(found)

    def _complete(self, number: int, call: Call, own: dict[str, list[StateTensor]]) -> Call:
        """The call with the specs of its inputs and its own state."""
        self.number = number
        refs = list(input_refs(call))
        for ref in refs:
            if ref.name in self.calls and self.calls[ref.name][0] >= number:
                fail(f"%{ref.name} is made in line {self.calls[ref.name][0]}, and taken before that")
        inputs = self._specs(refs)
        done = self.known.calls.get(id(call))
        if isinstance(call, Op):
            if done is None or done.inputs != inputs:
                done = Op(
                    call.scope, call.function, call.number, call.args, call.kwargs, inputs, call.outputs
                )
        else:
            self._specs(call.sources or ())
            module = self.modules[call.module.name][1]
            state = tuple(own.get(call.module.name, ()))
            is_known = isinstance(done, LayerCall) and done.module is module and done.state == state
            if done is None or not is_known or done.inputs != inputs:
                done = LayerCall(
                    module, call.number, call.args, call.kwargs, inputs, call.outputs, call.sources, state
                )
        self.known.calls[id(call)] = done
        return done


def _header(line: str) -> None:
    word, _, version = line.partition(" ")
    if word != "archcheck":
        path = (
            '; given is a path: read its text first, Path(…).read_text("utf-8")'
            if word.endswith(".arch")
            else ""
        )
        fail(f"not an .arch file, expected 'archcheck {FORMAT_VERSION}'{path}")
    if version != str(FORMAT_VERSION):
        fail(
            f"format version {version[:20]}, this release reads {FORMAT_VERSION}; "
            "record the snapshot again with --snapshot-update"
        )
