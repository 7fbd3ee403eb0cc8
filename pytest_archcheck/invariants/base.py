"""What every invariant has: claims that can contradict each other, and a judgement of a trace."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from pytest_archcheck.graph.depth import DepthExplanation
from pytest_archcheck.traces import Trace


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold: where, what was expected and found, why, and what to do."""

    where: str
    expected: str
    found: str
    why: str = ""
    advice: str = ""
    depth: DepthExplanation | None = None


@dataclass
class Bindings:
    """The named dimensions of one test: ``"B"`` is one number wherever it stands."""

    values: dict[str, tuple[int, str]] = field(default_factory=dict)

    def bind(self, name: str, size: int, where: str) -> str:
        """Bind a name, or say how it contradicts its first binding; empty when it agrees."""
        known, first = self.values.setdefault(name, (size, where))
        return "" if known == size else f"{name} is {known} at {first}"


class Invariant(Protocol):
    """A checkable statement about a trace."""

    def __init__(self, *args: object, **kwargs: object) -> None: ...

    def claims(self) -> Mapping[str, object]:
        """What is stated, by subject: two invariants contradict when they differ on a subject."""
        ...

    def check(self, trace: Trace, bindings: Bindings) -> Iterator[Violation]:
        """Every way in which a trace violates this invariant."""
        ...
