"""What all marks of numbers have: a total or budgets by module, a tolerance, and limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pytest_archcheck.costs.quantities import Quantity, Stated, limit, quantity
from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.invariants.patterns import modules_matching, no_match
from pytest_archcheck.traces import Trace


@dataclass(frozen=True)
class Measured:
    """What was measured: in total, by module, and why a part of the model may be incomplete."""

    total: int
    per_module: Mapping[str, int] = field(default_factory=dict)
    incomplete: Mapping[str, str] = field(default_factory=dict)
    """By module, what was not counted in it; ``""`` is the whole model."""


@dataclass(frozen=True)
class Number:
    """A number of a model: as stated, within a tolerance, or within limits.

    ``total`` is the whole model's, or a dict of module name patterns and numbers, each of which holds for every module
    that the pattern matches, with its children. ``"≤ 3.6G"`` and ``"≥ 1M"`` are limits.

    Raises:
        UsageError: nothing is stated, or something that is no number.
    """

    unit: ClassVar[str]
    bare: ClassVar[int] = 1
    """What a bare number counts in."""

    total: Stated | Mapping[str, Stated] | None = None
    rel: float | None = field(default=None, kw_only=True)
    abs: Stated | None = field(default=None, kw_only=True)
    at_most: Stated | None = field(default=None, kw_only=True)
    at_least: Stated | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if isinstance(self.total, Mapping):
            self._check_patterns(self.total)
        if not self.claims():
            raise UsageError("nothing is stated; give a total, at_most=… or at_least=…", see="marks")
        wanted = self._wanted()
        if (self.rel, self.abs) != (None, None) and all(w.relation != "=" for _, _, w in wanted):
            raise UsageError(
                "a tolerance belongs to a total; a limit has none, so leave rel= or abs= out", see="marks"
            )
        limits = {(pattern, w.relation): w.value for pattern, _, w in wanted}
        for pattern, relation in limits:
            if relation == "≥" and limits.get((pattern, "≤"), limits[pattern, "≥"]) < limits[pattern, "≥"]:
                raise UsageError(
                    f"no number is at most {self.at_most} and at least {self.at_least}; move one", see="marks"
                )

    @property
    def subject(self) -> str:
        """What is counted, as in ``"MACs"``."""
        return self.unit

    def measure(self, trace: Trace, context: Context) -> Measured:
        """The number that is judged."""
        raise NotImplementedError

    def shown(self, number: int) -> str:
        """A measured number as reports show it."""
        return f"{number:,}"

    def evidence(self, trace: Trace) -> tuple[str, ...]:
        """What the number is made of, where that is not plain."""
        return ()

    def claims(self) -> Mapping[str, object]:
        """Total, limits and each pattern by itself."""
        subject = self.subject.removeprefix("of ")
        claims: dict[str, object] = {}
        for pattern, stated, wanted in self._wanted():
            side = {"=": "", "≤": "limit of ", "≥": "least of "}[wanted.relation]
            claim = f"{side}{subject}{f' of {pattern}' if pattern else ''}"
            if claim in claims:
                raise UsageError(f"{stated!r}: the {claim} is stated already; keep one", see="marks")
            claims[claim] = wanted.value, wanted.tolerance
        return claims

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """A violation for each number that is not as stated, and where a count is not complete."""
        measured = self.measure(trace, context)
        told: set[str] = set()
        for pattern, _, wanted in self._wanted():
            modules = modules_matching(trace, pattern) if pattern else [""]
            if not modules:
                names = [module.name for module in trace.modules[1:]]
                yield no_match(pattern, "a module of that name", "there is none", "", names, "trace.modules")
            for module in modules:
                yield from self._incomplete(measured, module, told)
                if module in measured.incomplete and wanted.relation != "≤":
                    continue  # what is missing might make it right
                found = measured.per_module.get(module, 0) if module else measured.total
                why = self.why(found, wanted)
                for violation in judged(
                    found, wanted, self.subject, self.shown(found), where=module, why=why
                ):
                    yield replace(violation, evidence=self.evidence(trace))

    def _wanted(self) -> list[tuple[str, Stated, Quantity]]:
        """Each module pattern (empty for the whole model) with what was written and what it means."""
        total = (
            self.total if isinstance(self.total, Mapping) else {} if self.total is None else {"": self.total}
        )
        wanted = [
            (pattern, stated, quantity(stated, rel=self.rel, within=self.abs, unit=self.bare))
            for pattern, stated in total.items()
        ]
        for stated, side in ((self.at_most, "≤"), (self.at_least, "≥")):
            if stated is not None:
                wanted.append(("", stated, limit(stated, side, unit=self.bare)))
        return wanted

    def _check_patterns(self, total: Mapping[str, Stated]) -> None:
        for pattern in total:
            if not isinstance(pattern, str) or not pattern:
                raise UsageError(
                    f'{pattern!r} is no name of a module; write a dict like {{"backbone": "≤ 3.6G"}}',
                    see="marks",
                )
        if not total:
            raise UsageError('the dict is empty; write one like {"backbone": "≤ 3.6G"}', see="marks")

    def _incomplete(self, measured: Measured, module: str, told: set[str]) -> Iterator[Violation]:
        reason = measured.incomplete.get(module)
        if reason is not None and module not in told:
            told.add(module)
            yield Violation(
                module or "the model",
                f"a complete count of {self.subject}",
                reason,
                "what has no formula is not in the number",
                "give it one with @mac_formula, or state the parts that are counted by other marks",
            )

    def why(self, found: int, wanted: Quantity) -> str:
        """What a reader might have mixed up; empty where nothing is known."""
        return ""


def judged(
    found: int, wanted: Quantity, subject: str, shown: str, *, where: str = "", why: str = ""
) -> Iterator[Violation]:
    """A violation where a number is not as wanted.

    Args:
        found: the number.
        wanted: what it should be.
        subject: what is counted, as in ``"MACs"``.
        shown: the number for the reader.
        where: the module; by default the whole model.
        why: what the reader might have mixed up.
    """
    if wanted.allows(found):
        return
    words = {"=": "", "≤": "at most ", "≥": "at least "}[wanted.relation]
    share = f" ({100 * float(found / wanted.value - 1):+.2f} %)" if wanted.value else ""
    advice = "state that" if wanted.relation == "=" else "move the limit"
    yield Violation(
        where or "the model",
        f"{words}{wanted.text} {subject}",
        f"{shown}{share}",
        why,
        f"{advice}, or mend the model",
    )
