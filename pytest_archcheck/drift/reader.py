"""Read ``.arch`` text back into a trace: data only, no code runs, and an error names its line."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from pytest_archcheck.drift.defaults import DEFAULTS
from pytest_archcheck.drift.tokens import Problem, Tokens, fail
from pytest_archcheck.drift.writer import FORMAT_VERSION
from pytest_archcheck.errors import FormatError
from pytest_archcheck.records import (
    Call,
    LayerCall,
    Module,
    Op,
    Output,
    Ref,
    StateTensor,
    Symbol,
    TensorSpec,
    Value,
    refs_in,
)
from pytest_archcheck.traces import Trace

_REF = re.compile(r"%(?P<name>.+?)(?:@(?P<index>\d+))?")
_NUMBER = re.compile(r"-?\d+")
_CONSTANTS: dict[str, Value] = {"None": None, "True": True, "False": False}
_STATE_KINDS = ("param", "buffer", "const", "opaque")


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
            spec = _spec(tokens)
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
        self.model = Module("", cls, _config(cls, tokens))
        mode = tokens.take()
        if mode not in ("eval", "train"):
            fail(f"expected eval or train, found {mode}")
        self.training = mode == "train"
        tokens.end()

    def _output(self, tokens: Tokens) -> None:
        path = ""
        if tokens.kind() != "ref":
            path = tokens.name()
        source = _ref(tokens)
        spec = _spec(tokens)
        self.outputs.append(Output(spec.shape, spec.dtype, path, source))

    def _module(self, tokens: Tokens) -> None:
        name = tokens.name()
        if tokens.skip("="):
            original = tokens.name()
            same_as = "" if original == "." else original
            self.modules[name] = Module(name, "", {}, same_as=same_as)
        else:
            cls = tokens.name()
            self.modules[name] = Module(name, cls, _config(cls, tokens))

    def _state(self, kind: str, tokens: Tokens) -> None:
        name = tokens.name()
        spec = _spec(tokens)
        frozen, unsaved = tokens.skip("frozen"), tokens.skip("unsaved")
        tied_to = tokens.name() if tokens.skip("=") else None
        saved = kind == "param" or (kind == "buffer" and not unsaved)
        self.state.append(StateTensor(name, kind, spec, kind == "param" and not frozen, tied_to, saved))

    def _call(self, number: int, call_id: str, tokens: Tokens) -> None:
        name, _, count = call_id.rpartition("#") if _has_number(call_id) else (call_id, "", "1")
        if tokens.kind() in ("word", "string"):
            cls = tokens.name()
            module_name = "" if name == "." else name
            module = Module(module_name, cls, _config(cls, tokens))
            args, kwargs = _arguments(tokens)
            tokens.take("->")
            sources, specs = _made(tokens)
            self.modules.setdefault(module_name, module)
            call: Call = LayerCall(
                self.modules[module_name], int(count), args, kwargs, (), specs, sources, ()
            )
        else:
            scope, separator, function = name.rpartition(":")
            if not separator:
                fail("expected a class after the layer's name")
            args, kwargs = _arguments(tokens)
            tokens.take("->")
            _, specs = _made(tokens)
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


def _made(tokens: Tokens) -> tuple[tuple[Ref, ...] | None, tuple[TensorSpec, ...]]:
    """The specs after the arrow; with a reference before each, the call is not atomic."""
    sources: list[Ref] = []
    specs: list[TensorSpec] = []
    while tokens.kind() != "end":
        if tokens.kind() == "ref":
            sources.append(_ref(tokens))
        specs.append(_spec(tokens))
    is_atomic = bool(specs) and not sources
    if sources and len(sources) != len(specs):
        fail("expected a reference before every output, or before none")
    return (None if is_atomic else tuple(sources)), tuple(specs)


def _spec(tokens: Tokens) -> TensorSpec:
    dtype = tokens.take() if tokens.kind() == "word" else "float32"
    tokens.take("[")
    shape: list[int] = []
    while not tokens.skip("]"):
        size = tokens.take()
        if not size.isdecimal():
            fail(f"expected a dimension, found {size}")
        shape.append(int(size))
        if tokens.peek() != "]":
            tokens.take(",")
    return TensorSpec(tuple(shape), dtype)


def _config(cls: str, tokens: Tokens) -> dict[str, Value]:
    _, written = _arguments(tokens)
    return {**written, **{k: v for k, v in DEFAULTS.get(cls, {}).items() if k not in written}}


def _arguments(tokens: Tokens) -> tuple[tuple[Value, ...], dict[str, Value]]:
    tokens.take("(")
    args: list[Value] = []
    kwargs: dict[str, Value] = {}
    while not tokens.skip(")"):
        is_keyword = (
            tokens.kind() in ("word", "string")
            and tokens.at + 1 < len(tokens.items)
            and tokens.items[tokens.at + 1] == ("mark", "=")
        )
        if is_keyword:
            key = tokens.name()
            tokens.take("=")
            kwargs[key] = _value(tokens)
        else:
            args.append(_value(tokens))
        if tokens.peek() != ")":
            tokens.take(",")
    return tuple(args), kwargs


def _ref(tokens: Tokens) -> Ref:
    if tokens.kind() != "ref":
        fail(f"expected a reference like %conv1, found {tokens.peek() or 'nothing'}")
    match = _REF.fullmatch(tokens.take())
    assert match is not None  # the token's pattern is the same
    name = match["name"]
    return Ref(json.loads(name) if name.startswith('"') else name, int(match["index"] or 0))


def _value(tokens: Tokens) -> Value:
    kind, text = tokens.kind(), tokens.peek()
    if kind == "ref":
        return _ref(tokens)
    if kind == "string":
        return str(json.loads(tokens.take()))
    if kind == "symbol":
        return Symbol(tokens.take()[1:-1])
    if tokens.skip("("):
        return tuple(_items(tokens, ")", _value))
    if tokens.skip("{"):
        return dict(_items(tokens, "}", _entry))
    if kind != "word":
        fail(f"expected a value, found {text or 'the end of the line'}")
    return _word(tokens.take())


def _items(tokens: Tokens, closing: str, item: Callable[[Tokens], Any]) -> list[Any]:
    found = []
    while not tokens.skip(closing):
        found.append(item(tokens))
        if tokens.peek() != closing:
            tokens.take(",")
    return found


def _entry(tokens: Tokens) -> tuple[str, Value]:
    key = tokens.name()
    tokens.take(":")
    return key, _value(tokens)


def _word(word: str) -> Value:
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    if _NUMBER.fullmatch(word):
        return int(word)
    if word in ("inf", "-inf", "nan") or not (word[0].isalpha() or word[0] == "_"):
        try:
            return float(word)
        except ValueError:
            fail(f"expected a value, found {word}")
    return Symbol(word)
