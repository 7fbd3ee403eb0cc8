"""What every invariant has: claims that can contradict each other, and a judgement of a trace."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pytest_archcheck.behaviour import Probes
from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.depth import DepthExplanation
from pytest_archcheck.matching.results import Match
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from pytest_archcheck.recording.counters import SecondCount


@dataclass(frozen=True, slots=True)
class Violation:
    """An invariant that does not hold: where, what was expected and found, why, and what to do."""

    where: str
    expected: str
    found: str
    why: str = ""
    advice: str = ""
    evidence: DepthExplanation | Match | tuple[str, ...] = ()


@dataclass
class Context:
    """What the invariants of one test share.

    ``values`` are its named dimensions: ``"B"`` is one number wherever it stands. ``recorder`` records another model
    with the inputs of the model under test, on the same placement; ``counter`` lets a second counter run that model;
    ``probes`` runs it again with values, or otherwise.
    """

    values: dict[str, tuple[int, str]] = field(default_factory=dict)
    recorder: Callable[[Any], Trace] | None = None
    counter: Callable[[str], SecondCount] | None = None
    probes: Probes | None = None

    def record(self, model: Any) -> Trace:
        """The trace of another model, called as the model under test is.

        Raises:
            RecordingError: it cannot be recorded.
            UsageError: the test made its trace itself, so that its inputs are not known.
        """
        if self.recorder is None:
            raise UsageError(
                "the test brings its own arch_trace, so a reference cannot be called with the same inputs; "
                "give the trace of the reference instead of the model",
                see="arch_same_as",
            )
        return self.recorder(model)

    def count(self, counter: str) -> SecondCount:
        """What a second counter says of the model under test.

        Raises:
            RecordingError: it cannot be run or counted.
            UsageError: the test made its trace itself, so that its model is not known.
        """
        if self.counter is None:
            raise UsageError(
                f"the test brings its own arch_trace, so {counter} has no model to run; "
                "define arch_model and arch_inputs instead",
                see="arch_macs",
            )
        return self.counter(counter)

    def probe(self, mark: str) -> Probes:
        """What runs the model under test again.

        Raises:
            UsageError: the test made its trace itself, so that its model is not known.
        """
        if self.probes is None:
            raise UsageError(
                f"the test brings its own arch_trace, so {mark} has no model to run; "
                "define arch_model and arch_inputs instead",
                see=mark,
            )
        return self.probes

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

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """Every way in which a trace violates this invariant."""
        ...
