"""What one test run checked, as plain data: the source of the terminal's section, JUnit, JSON, Markdown and HTML.

Every test leaves one ``Checked`` on its report, as data that crosses to the controller under xdist; there they are
gathered in a ``Run``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any

from pytest_archcheck.traces import Trace

STATES = ("same", "tolerated", "drifted", "missing", "unreadable", "written", "updated")
"""Of a snapshot: equal, drift that does not fail, drift that does, none yet, no valid file, newly written, replaced."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One mark or budget of a test, as it was written, and what became of it.

    ``found`` and the rest are those of the first violation; ``violations`` is how many there are, 0 where it holds.
    """

    text: str
    violations: int = 0
    where: str = ""
    expected: str = ""
    found: str = ""
    why: str = ""

    @property
    def holds(self) -> bool:
        """Whether nothing violates it."""
        return not self.violations


@dataclass(frozen=True, slots=True)
class Compared:
    """One snapshot of a test: its name, one of ``STATES``, and of a drift severity, verdict and the old text."""

    name: str
    state: str
    severity: str = ""
    verdict: str = ""
    before: str | None = None


@dataclass(frozen=True, slots=True)
class Checked:
    """One test of an architecture.

    ``outcome`` is ``"passed"``, ``"failed"``, ``"error"`` (nothing could be judged), ``"skipped"`` or ``"xfailed"``;
    ``model`` is a class; ``trace`` is the key of its text in ``Run.texts``, empty where nothing was recorded or no
    report needs it; ``seconds`` are those of the recording, ``None`` where the test took the trace of another;
    ``notes`` say why it was recorded where it was.
    """

    test: str
    outcome: str
    trace: str = ""
    placement: str = ""
    seconds: float | None = None
    notes: tuple[str, ...] = ()
    statements: tuple[Statement, ...] = ()
    snapshots: tuple[Compared, ...] = ()
    model: str = ""

    @classmethod
    def from_data(cls, data: Mapping[str, Any]) -> Checked:
        """The record that ``as_data`` gave."""
        parts = {
            "notes": tuple(data["notes"]),
            "statements": tuple(Statement(**item) for item in data["statements"]),
            "snapshots": tuple(Compared(**item) for item in data["snapshots"]),
        }
        return cls(**{**data, **parts})

    def as_data(self) -> dict[str, Any]:
        """The same in dicts, lists and plain values."""
        return asdict(self)


@dataclass(frozen=True)
class Run:
    """All that was checked, in order; ``texts`` are the ``.arch`` texts of what was recorded, by key.

    ``versions`` are those of the package, torch and Python; ``failing`` are the severities that fail a test.
    """

    checked: tuple[Checked, ...]
    texts: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    failing: tuple[str, ...] = ()

    @cached_property
    def traces(self) -> Mapping[str, Trace]:
        """What was recorded, by key."""
        return {key: Trace.from_text(text) for key, text in self.texts.items()}
