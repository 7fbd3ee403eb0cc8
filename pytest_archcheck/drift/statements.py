"""What one line of ``.arch`` text says, read by itself."""

from __future__ import annotations

from typing import Any, TypeAlias

from pytest_archcheck.drift.tokens import Tokens, fail, whole
from pytest_archcheck.drift.values import read_arguments, read_config, read_made, read_ref, read_spec
from pytest_archcheck.records import LayerCall, Module, Op, Output, StateTensor, TensorSpec

STATE_KINDS = ("param", "buffer", "packed", "const", "opaque")
Statement: TypeAlias = tuple[Any, ...]
"""The kind of a line (``"model"``, ``"input"``, ``"call"``, …), and the records that it makes."""


def read_statement(tokens: Tokens) -> Statement:
    """The statement of one line after the first.

    Raises:
        Problem: the line is not valid.
    """
    quoted = tokens.kind() == "string"
    first = tokens.name()
    named = tokens.kind() in ("word", "string")
    statement: Statement
    if not quoted and first == "model" and named:
        statement = _model(tokens)
    elif not quoted and first == "output":
        statement = _output(tokens)
    elif not quoted and first == "module" and named:
        statement = _module(tokens)
    elif not quoted and first in STATE_KINDS and named:
        statement = _state(first, tokens)
    elif not quoted and first == "section" and named:
        statement = "section", tokens.name()
    elif first.startswith("in:"):
        spec = read_spec(tokens)
        statement = "input", TensorSpec(spec.shape, spec.dtype, first[3:])
    else:
        statement = _call(first, tokens)
    tokens.end()
    return statement


def _model(tokens: Tokens) -> Statement:
    cls = tokens.name()
    model = Module("", cls, read_config(cls, tokens))
    mode = tokens.take()
    if mode not in ("eval", "train"):
        fail(f"expected eval or train, found {mode}")
    return "model", model, mode == "train"


def _output(tokens: Tokens) -> Statement:
    path = "" if tokens.kind() == "ref" else tokens.name()
    source = read_ref(tokens)
    spec = read_spec(tokens)
    return "output", Output(spec.shape, spec.dtype, path, source)


def _module(tokens: Tokens) -> Statement:
    name = tokens.name()
    if tokens.skip("="):
        original = tokens.name()
        return "module", Module(name, "", {}, same_as="" if original == "." else original)
    cls = tokens.name()
    return "module", Module(name, cls, read_config(cls, tokens))


def _state(kind: str, tokens: Tokens) -> Statement:
    name = tokens.name()
    spec = read_spec(tokens)
    frozen, unsaved = tokens.skip("frozen"), tokens.skip("unsaved")
    stored = tokens.integer() if tokens.skip("stored") else None
    tied_to = tokens.name() if tokens.skip("=") else None
    saved = kind in ("param", "buffer", "packed") and not unsaved
    trainable = kind == "param" and not frozen
    return "state", StateTensor(name, kind, spec, trainable, tied_to, saved, stored)


def _call(call_id: str, tokens: Tokens) -> Statement:
    name, mark, count = call_id.rpartition("#")
    if not (name and mark and count.isdecimal()):
        name, count = call_id, "1"
    number = whole(count)
    if tokens.kind() in ("word", "string"):
        cls = tokens.name()
        module = Module("" if name == "." else name, cls, read_config(cls, tokens))
        args, kwargs = read_arguments(tokens)
        tokens.take("->")
        sources, specs = read_made(tokens)
        return "call", call_id, LayerCall(module, number, args, kwargs, (), specs, sources, ())
    scope, separator, function = name.rpartition(":")
    if not separator:
        fail("expected a class after the layer's name")
    args, kwargs = read_arguments(tokens)
    tokens.take("->")
    sources, specs = read_made(tokens)
    if sources:
        fail("an op has no reference before its outputs")
    return "call", call_id, Op(scope, function, number, args, kwargs, (), specs)
