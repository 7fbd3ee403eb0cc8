"""What the marks of one test state: the model under test, and invariants without contradiction."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest

from pytest_archcheck import marks
from pytest_archcheck.errors import UsageError
from pytest_archcheck.inputs import positional
from pytest_archcheck.invariants import INVARIANTS, Invariant
from pytest_archcheck.marks import arch, usage
from pytest_archcheck.names import nearest


@dataclass(frozen=True)
class ModelUnderTest:
    """What an ``arch`` mark states."""

    model: Any
    inputs: Any
    kwargs: Mapping[str, Any] | None
    train: bool


@dataclass(frozen=True)
class Statements:
    """Everything that the marks of one test state."""

    subject: ModelUnderTest | None
    invariants: tuple[tuple[str, Invariant], ...]
    """Each with its spelling, ``@arch_depth(18, convention='paper')``."""

    def also(self, invariants: tuple[tuple[str, Invariant], ...]) -> Statements:
        """The same with more invariants."""
        return Statements(self.subject, (*self.invariants, *invariants))

    def __bool__(self) -> bool:
        return self.subject is not None or bool(self.invariants)


def statements_of(node: pytest.Item | pytest.Function | Any) -> Statements:
    """The statements of a test, its class and its module.

    Raises:
        UsageError: there is no mark of a name, its arguments make no sense, or two marks contradict each other.
    """
    _check_names(node)
    subject = _subject(node)
    invariants: list[tuple[str, Invariant]] = []
    claimed: dict[str, tuple[object, str]] = {}
    for mark in reversed(list(node.iter_markers())):
        if mark.name not in INVARIANTS:
            continue
        text = spelling(mark)
        invariant = _invariant(mark, text)
        for claim, value in invariant.claims().items():
            first, where = claimed.setdefault(claim, (value, text))
            if first != value:
                raise UsageError(
                    f"{where} and {text} contradict each other on the {claim}; keep one", see=mark.name
                )
        invariants.append((text, invariant))
    return Statements(subject, tuple(invariants))


def _check_names(node: Any) -> None:
    """A misspelt mark would state nothing, and pytest only warns of it."""
    unknown = [mark.name for mark in node.iter_markers() if mark.name.startswith("arch_")]
    unknown = [name for name in unknown if name not in INVARIANTS]
    if unknown:
        registered = {re.split(r"[:(]", line)[0].strip() for line in node.config.getini("markers")}
        for name in unknown:
            if name not in registered:
                raise UsageError(
                    f"@pytest.mark.{name}: there is no such mark{nearest(name, INVARIANTS)}", see="marks"
                )


def spelling(mark: pytest.Mark) -> str:
    """A mark as it was written, long arguments cut; arguments left at their defaults are not shown."""
    known = inspect.signature(getattr(marks, mark.name)).parameters
    defaults = {name: parameter.default for name, parameter in known.items()}
    parts = [_short(value) for value in mark.args if value is not None]
    for key, value in mark.kwargs.items():
        default = defaults.get(key)
        if value is not None and not (type(value) is type(default) and value == default):
            parts.append(f"{key}={_short(value)}")
    return f"@{mark.name}({', '.join(parts)})"


def _short(value: Any) -> str:
    text = getattr(value, "__qualname__", None) or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _subject(node: Any) -> ModelUnderTest | None:
    own = [mark for mark in getattr(node, "own_markers", ()) if mark.name == "arch"]
    if len(own) > 1:
        raise UsageError(
            f"{spelling(own[0])} and {spelling(own[1])} contradict each other on the model; keep one",
            see="arch",
        )
    mark = node.get_closest_marker("arch")
    if mark is None:
        return None
    text = spelling(mark)
    bound = _bind(arch, mark, text)
    model, inputs = bound["model"], bound["inputs"]
    if not callable(model):
        raise UsageError(
            f"{text}: {model!r} is {type(model).__name__}; give an nn.Module, or a function that builds one",
            see="arch",
        )
    if not isinstance(bound["train"], bool):
        raise UsageError(f"{text}: train is True or False, not {bound['train']!r}", see="arch")
    if bound["kwargs"] is not None and not isinstance(bound["kwargs"], Mapping):
        raise UsageError(
            f"{text}: kwargs is a dict of the forward's keyword arguments, not {bound['kwargs']!r}",
            see="arch",
        )
    try:
        positional(inputs)
    except UsageError as error:
        raise UsageError(f"{text}: {error}", see=error.see) from None
    return ModelUnderTest(model, inputs, bound["kwargs"], bound["train"])


def _invariant(mark: pytest.Mark, text: str) -> Invariant:
    cls = INVARIANTS[mark.name]
    _bind(cls, mark, text)
    try:
        return cls(*mark.args, **mark.kwargs)
    except UsageError as error:
        raise UsageError(f"{text}: {error}", see=mark.name) from None


def _bind(target: Any, mark: pytest.Mark, text: str) -> dict[str, Any]:
    signature = inspect.signature(target)
    try:
        bound = signature.bind(*mark.args, **mark.kwargs)
    except TypeError as error:
        raise UsageError(f"{text}: {error}; write @{mark.name}{usage(target)}", see=mark.name) from None
    bound.apply_defaults()
    return dict(bound.arguments)
