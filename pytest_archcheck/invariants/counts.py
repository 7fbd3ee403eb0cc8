"""``arch_params``, ``arch_macs``, ``arch_flops`` and ``arch_size``: numbers with a tolerance or a limit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar

from pytest_archcheck.costs.quantities import quantity
from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.traces import Trace

Number = int | float | str


@dataclass(frozen=True)
class Params:
    """Parameters in total, those that are trainable, or a limit; tied ones count once.

    Raises:
        UsageError: nothing is stated, or something that is no number.
    """

    total: Number | None = None
    trainable: Number | None = field(default=None, kw_only=True)
    at_most: Number | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _require(self.claims())

    def claims(self) -> Mapping[str, object]:
        """Total, trainable and limit, each by itself."""
        return _stated(
            {
                "parameters": self.total,
                "trainable parameters": self.trainable,
                "limit of parameters": self.at_most,
            }
        )

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each number that is not as stated."""
        params = trace.params
        yield from _exact(params.total, self.total, None, "parameters")
        yield from _exact(params.trainable, self.trainable, None, "trainable parameters")
        yield from _limit(params.total, self.at_most, "parameters")


@dataclass(frozen=True)
class Macs:
    """Multiply-accumulates of one forward, exact, within ``rel``, or at most so many.

    Raises:
        UsageError: nothing is stated, or something that is no number.
    """

    unit: ClassVar[str] = "MACs"

    total: Number | None = None
    rel: float | None = field(default=None, kw_only=True)
    at_most: Number | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        _require(self.claims(), self.rel)

    def claims(self) -> Mapping[str, object]:
        """Total and limit, each by itself."""
        return _stated({self.unit: self.total, f"limit of {self.unit}": self.at_most})

    def measure(self, trace: Trace) -> int:
        """The number that is judged."""
        return trace.macs

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """A violation where the number is not as stated, or where the count is not complete."""
        if trace.status != "complete":
            yield Violation(
                "the model",
                f"a complete count of {self.unit}",
                trace.status,
                "what has no formula is not in the number",
                "state the parts that are counted by other marks",
            )
        found = self.measure(trace)
        yield from _exact(found, self.total, self.rel, self.unit)
        yield from _limit(found, self.at_most, self.unit)


@dataclass(frozen=True)
class Flops(Macs):
    """Floating-point operations of one forward, which are 2 × MACs here.

    Raises:
        UsageError: nothing is stated, or something that is no number.
    """

    unit: ClassVar[str] = "FLOPs"

    def measure(self, trace: Trace) -> int:
        """Twice the MACs."""
        return trace.flops

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """The same as for MACs; who stated the MACs by mistake is told so."""
        is_macs = self.total is not None and quantity(self.total, rel=self.rel).allows(trace.macs)
        hint = "the number stated is the MACs; a FLOP count is 2 × MACs" if is_macs and trace.macs else ""
        for violation in super().check(trace, context):
            yield replace(violation, why=hint) if hint and not violation.why else violation


@dataclass(frozen=True)
class Size:
    """Size of the saved state in MiB (2²⁰ bytes), within ``rel``, by default 0.5 %.

    Counted are the parameters and buffers that the state dict saves; a file adds its own headers, which is
    what the tolerance is for.

    Raises:
        UsageError: something is no number.
    """

    mib: Number
    rel: float = field(default=0.005, kw_only=True)

    def __post_init__(self) -> None:
        _require(self.claims(), self.rel)

    def claims(self) -> Mapping[str, object]:
        """The size."""
        return {"size of the state": self.mib}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation where the size is out of tolerance."""
        stated = quantity(self.mib, rel=self.rel, unit=2**20)
        if not stated.allows(trace.size):
            has_unit = any(letter.isalpha() for letter in stated.text)
            text = stated.text if has_unit else stated.text.replace(" ", " MiB ", 1)
            found = f"{trace.size / 2**20:.2f} MiB ({trace.size:,} bytes)"
            yield Violation("the state dict", text, found, "", "state that, or mend the model")


def _stated(claims: Mapping[str, object]) -> Mapping[str, object]:
    return {subject: value for subject, value in claims.items() if value is not None}


def _require(claims: Mapping[str, object], rel: float | None = None) -> None:
    if not claims:
        raise UsageError("nothing is stated; give a total or at_most=…")
    for value in claims.values():
        quantity(value, rel=rel)  # type: ignore[arg-type]


def _exact(found: int, stated: Number | None, rel: float | None, unit: str) -> Iterator[Violation]:
    if stated is None:
        return
    wanted = quantity(stated, rel=rel)
    if not wanted.allows(found):
        share = f" ({100 * float(found / wanted.value - 1):+.2f} %)" if wanted.value else ""
        yield Violation(
            "the model",
            f"{wanted.text} {unit}",
            f"{found:,}{share}",
            "",
            "state that, or mend the model",
        )


def _limit(found: int, at_most: Number | None, unit: str) -> Iterator[Violation]:
    if at_most is not None and found > quantity(at_most).value:
        shown = quantity(at_most).text
        advice = "raise the limit, or mend the model"
        yield Violation("the model", f"at most {shown} {unit}", f"{found:,}", "", advice)
