"""Read ``.arch`` text back into a trace: data only, no code runs, and an error names its line."""

from __future__ import annotations

from pytest_archcheck.drift.tokens import Problem, Tokens, fail
from pytest_archcheck.drift.values import read_arguments, read_config, read_made, read_ref, read_spec
from pytest_archcheck.drift.writer import FORMAT_VERSION
from pytest_archcheck.errors import FormatError
from pytest_archcheck.records import (
    Call,
    LayerCall,
    Module,
    Op,
    Output,
    StateTensor,
    TensorSpec,
    refs_in,
)
from pytest_archcheck.traces import Trace

_STATE_KINDS = ("param", "buffer", "packed", "const", "opaque")


def read(text: str) -> Trace:
    """The trace that a text records; derived numbers in it are ignored.

    Raises:
        FormatError: the text is not valid; the message names the line and what was expected.
    """
    reader = _Reader()
    lines = text.removesuffix("\n").split("\n")
    if not text:
        raise FormatError(f"line 1: the text is empty; expected 'archcheck {FORMAT_VERSION}'")
    for number, line in enumerate(lines, start=1):
        try:
            reader.line(number, Tokens(line))
        except Problem as problem:
            raise FormatError(f"line {number}: {problem}: {line[:120]!r}") from None
    return reader.trace()


class _Reader:
    def __init__(self) -> None:
        self.model: Module | None = None
        self.training = False
        self.inputs: list[TensorSpec] = []
        self.calls: list[tuple[int, str, Call]] = []
        self.outputs: list[Output] = []
        self.modules: dict[str, Module] = {}
        self.state: list[StateTensor] = []

    def line(self, number: int, tokens: Tokens) -> None:
        if number == 1:
            self._header(tokens)
            return
        if tokens.kind() == "end":
            return
        if number == 2:
            self._model(tokens)
            return
        quoted = tokens.kind() == "string"
        first = tokens.name()
        following = tokens.kind()
        if not quoted and first == "output":
            self._output(tokens)
        elif not quoted and first == "module" and following in ("word", "string"):
            self._module(tokens)
        elif not quoted and first in _STATE_KINDS and following in ("word", "string"):
            self._state(first, tokens)
        elif first.startswith("in:"):
            spec = read_spec(tokens)
            self.inputs.append(TensorSpec(spec.shape, spec.dtype, first[3:]))
        else:
            self._call(number, first, tokens)
        tokens.end()

    def _header(self, tokens: Tokens) -> None:
        if tokens.kind() != "word" or tokens.take() != "archcheck":
            fail(f"not an .arch file, expected 'archcheck {FORMAT_VERSION}'")
        version = tokens.take()
        if version != str(FORMAT_VERSION):
            fail(
                f"format version {version}, this release reads {FORMAT_VERSION}; "
                "record the snapshot again with --snapshot-update"
            )
        tokens.end()

    def _model(self, tokens: Tokens) -> None:
        tokens.take("model")
        cls = tokens.name()
        self.model = Module("", cls, read_config(cls, tokens))
        mode = tokens.take()
        if mode not in ("eval", "train"):
            fail(f"expected eval or train, found {mode}")
        self.training = mode == "train"
        tokens.end()

    def _output(self, tokens: Tokens) -> None:
        path = ""
        if tokens.kind() != "ref":
            path = tokens.name()
        source = read_ref(tokens)
        spec = read_spec(tokens)
        self.outputs.append(Output(spec.shape, spec.dtype, path, source))

    def _module(self, tokens: Tokens) -> None:
        name = tokens.name()
        if tokens.skip("="):
            original = tokens.name()
            same_as = "" if original == "." else original
            self.modules[name] = Module(name, "", {}, same_as=same_as)
        else:
            cls = tokens.name()
            self.modules[name] = Module(name, cls, read_config(cls, tokens))

    def _state(self, kind: str, tokens: Tokens) -> None:
        name = tokens.name()
        spec = read_spec(tokens)
        frozen, unsaved = tokens.skip("frozen"), tokens.skip("unsaved")
        stored = tokens.integer() if tokens.skip("stored") else None
        tied_to = tokens.name() if tokens.skip("=") else None
        saved = kind in ("param", "buffer", "packed") and not unsaved
        trainable = kind == "param" and not frozen
        self.state.append(StateTensor(name, kind, spec, trainable, tied_to, saved, stored))

    def _call(self, number: int, call_id: str, tokens: Tokens) -> None:
        name, _, count = call_id.rpartition("#") if _has_number(call_id) else (call_id, "", "1")
        if tokens.kind() in ("word", "string"):
            cls = tokens.name()
            module_name = "" if name == "." else name
            module = Module(module_name, cls, read_config(cls, tokens))
            args, kwargs = read_arguments(tokens)
            tokens.take("->")
            sources, specs = read_made(tokens)
            self.modules.setdefault(module_name, module)
            call: Call = LayerCall(
                self.modules[module_name], int(count), args, kwargs, (), specs, sources, ()
            )
        else:
            scope, separator, function = name.rpartition(":")
            if not separator:
                fail("expected a class after the layer's name")
            args, kwargs = read_arguments(tokens)
            tokens.take("->")
            _, specs = read_made(tokens)
            call = Op(scope, function, int(count), args, kwargs, (), specs)
        self.calls.append((number, call_id, call))

    def trace(self) -> Trace:
        if self.model is None:
            raise FormatError("line 2: expected the line of the model")
        if not self.outputs:
            raise FormatError("the text ends before the first line 'output'; is it cut off?")
        specs: dict[str, tuple[TensorSpec, ...]] = {
            f"in:{spec.path}": (TensorSpec(spec.shape, spec.dtype),) for spec in self.inputs
        }
        own: dict[str, list[StateTensor]] = {}
        for tensor in self.state:
            own.setdefault(tensor.name.rpartition(".")[0], []).append(tensor)
            specs[f"{tensor.kind}:{tensor.name}"] = (tensor.spec,)
        for _, call_id, call in self.calls:
            if isinstance(call, Op) or call.atomic:
                specs[call_id] = call.outputs
        calls = tuple(_complete(number, call, specs, own) for number, _, call in self.calls)
        known = {"": self.model, **self.modules}
        modules = tuple(
            Module(m.name, known[m.same_as].type if m.same_as in known else "", {}, m.same_as)
            if m.same_as is not None
            else m
            for m in known.values()
        )
        return Trace(
            self.model,
            self.training,
            tuple(self.inputs),
            calls,
            tuple(self.outputs),
            modules,
            tuple(self.state),
        )


def _complete(
    number: int,
    call: Call,
    specs: dict[str, tuple[TensorSpec, ...]],
    own: dict[str, list[StateTensor]],
) -> Call:
    """The call with the specs of its inputs, which the text gives by reference."""
    inputs = []
    for ref in (*refs_in(call.args), *refs_in(call.kwargs)):
        made = specs.get(ref.name, ())
        if ref.index >= len(made):
            raise FormatError(f"line {number}: %{ref.name} refers to a tensor that nothing in the text makes")
        inputs.append(made[ref.index])
    if isinstance(call, Op):
        return Op(call.scope, call.function, call.number, call.args, call.kwargs, tuple(inputs), call.outputs)
    state = tuple(own.get(call.module.name, ()))
    return LayerCall(
        call.module,
        call.number,
        call.args,
        call.kwargs,
        tuple(inputs),
        call.outputs,
        call.sources,
        state,
    )


def _has_number(call_id: str) -> bool:
    return call_id.rpartition("#")[2].isdigit() and "#" in call_id
