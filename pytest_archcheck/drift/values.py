"""Read the values of one line of ``.arch`` text: specs, references, arguments, config."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from typing import Any

from pytest_archcheck.drift.defaults import DEFAULTS
from pytest_archcheck.drift.tokens import Tokens, fail, unquoted, whole
from pytest_archcheck.records import Ref, Symbol, TensorSpec, Value

_REF = re.compile(r'%(?P<name>".*"|[^@]+)(?:@(?P<index>\d+))?')
_CONSTANTS: dict[str, Value] = {"None": None, "True": True, "False": False}
_DEEPEST = 100
"""Values within values; Python's own stack holds about ten times as many."""


def read_made(tokens: Tokens) -> tuple[tuple[Ref, ...] | None, tuple[TensorSpec, ...]]:
    """The specs after the arrow; with a reference before each, the call is not atomic."""
    sources: list[Ref] = []
    specs: list[TensorSpec] = []
    while tokens.kind() != "end":
        if tokens.kind() == "ref":
            sources.append(read_ref(tokens))
        specs.append(read_spec(tokens))
    is_atomic = bool(specs) and not sources
    if sources and len(sources) != len(specs):
        fail("expected a reference before every output, or before none")
    return (None if is_atomic else tuple(sources)), tuple(specs)


def read_spec(tokens: Tokens) -> TensorSpec:
    """A tensor's dtype and shape."""
    dtype = tokens.take() if tokens.kind() == "word" else "float32"
    tokens.take("[")
    shape: list[int] = []
    while not tokens.skip("]"):
        size = tokens.take()
        if not size.isdecimal() and size != "-1":  # -1 is ragged
            fail(f"expected a dimension, found {size}")
        shape.append(-1 if size == "-1" else whole(size))
        if tokens.peek() != "]":
            tokens.take(",")
    return _spec(tuple(shape), dtype)


@functools.lru_cache(maxsize=4096)
def _spec(shape: tuple[int, ...], dtype: str) -> TensorSpec:
    return TensorSpec(shape, dtype)


def read_config(cls: str, tokens: Tokens) -> dict[str, Value]:
    """A module's config, with the frozen defaults that the text leaves out."""
    key = (cls, *tokens.bracketed())
    known: dict[str, Value] | None = tokens.shared.get(key)
    if known is not None:
        tokens.at += len(key) - 1
        return known
    args, written = read_arguments(tokens)
    if args:
        fail(f"expected the names of all settings of {cls}, as in stride=2")
    config = {**written, **{k: v for k, v in DEFAULTS.get(cls, {}).items() if k not in written}}
    if len(key) > 1:
        tokens.shared[key] = config
    return config


def read_arguments(tokens: Tokens) -> tuple[tuple[Value, ...], dict[str, Value]]:
    """Positional and keyword arguments in brackets."""
    tokens.take("(")
    args: list[Value] = []
    kwargs: dict[str, Value] = {}
    while not tokens.skip(")"):
        if tokens.is_keyword():
            key = tokens.name()
            tokens.take("=")
            if key in kwargs:
                fail(f"{key} stands twice")
            kwargs[key] = read_value(tokens)
        else:
            args.append(read_value(tokens))
        if tokens.peek() != ")":
            tokens.take(",")
    return tuple(args), kwargs


def read_ref(tokens: Tokens) -> Ref:
    """A reference like ``%conv1`` or ``%chunk@1``."""
    if tokens.kind() != "ref":
        fail(f"expected a reference like %conv1, found {tokens.peek() or 'nothing'}")
    match = _REF.fullmatch(tokens.take())
    assert match is not None  # the token's pattern is the same
    name = match["name"]
    return Ref(unquoted(name) if name.startswith('"') else name, whole(match["index"] or "0"))


def read_value(tokens: Tokens, depth: int = 0) -> Value:
    """Any value of a record."""
    kind, text = tokens.kind(), tokens.peek()
    if depth > _DEEPEST:
        fail(f"values lie more than {_DEEPEST} deep in each other")
    if kind == "ref":
        return read_ref(tokens)
    if kind == "string":
        return tokens.string()
    if kind == "symbol":
        return Symbol(tokens.take()[1:-1])
    if tokens.skip("("):
        return tuple(_items(tokens, ")", lambda inner: read_value(inner, depth + 1)))
    if tokens.skip("{"):
        return dict(_items(tokens, "}", lambda inner: _entry(inner, depth + 1)))
    if kind != "word":
        fail(f"expected a value, found {text or 'the end of the line'}")
    word = tokens.take()
    if word == "slice" and tokens.skip("("):
        parts = _items(tokens, ")", lambda inner: read_value(inner, depth + 1))
        if len(parts) != 3:
            fail(f"expected slice(start, stop, step), found {len(parts)} parts")
        return {"slice": tuple(parts)}
    return _word(word)


def _items(tokens: Tokens, closing: str, item: Callable[[Tokens], Any]) -> list[Any]:
    found = []
    while not tokens.skip(closing):
        found.append(item(tokens))
        if tokens.peek() != closing:
            tokens.take(",")
    return found


def _entry(tokens: Tokens, depth: int) -> tuple[str, Value]:
    key = tokens.name()
    tokens.take(":")
    return key, read_value(tokens, depth)


def _word(word: str) -> Value:
    if word in _CONSTANTS:
        return _CONSTANTS[word]
    digits = word.removeprefix("-")
    if digits.isdecimal():
        return whole(digits) if digits == word else -whole(digits)
    if word in ("inf", "-inf", "nan") or not (word[0].isalpha() or word[0] == "_"):
        try:
            return float(word)
        except ValueError:
            fail(f"expected a value, found {word[:40]}")
    return Symbol(word)
