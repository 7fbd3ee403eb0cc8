"""``arch_depth``: the number of layers under a named convention."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.conventions import known_convention, others_that_give
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.traces import Trace


@dataclass(frozen=True)
class Depth:
    """The model is ``n`` layers deep under ``convention``.

    Raises:
        UsageError: ``n`` is no count of layers, or there is no such convention.
    """

    n: int
    convention: str = field(kw_only=True)

    def __post_init__(self) -> None:
        if type(self.n) is not int or self.n < 0:
            raise UsageError(
                f"a depth is a whole number of layers, as in 18, not {self.n!r}", see="arch_depth"
            )
        known_convention(self.convention)

    def claims(self) -> Mapping[str, object]:
        """The depth, for each convention by itself."""
        return {f"depth under {self.convention!r}": self.n}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation, with everything that was counted and left out."""
        explanation = trace.explain_depth(self.convention)
        if explanation.depth == self.n:
            return
        others = others_that_give(trace, self.n)
        hint = ""
        if others:
            hint = f"{explanation.depth} under {self.convention!r}, {self.n} under "
            hint += " and ".join(map(repr, others))
        yield Violation(
            where="the model",
            expected=f"{self.n} layer{'s' if self.n != 1 else ''} under {self.convention!r}",
            found=f"{explanation.depth}",
            why=hint,
            advice=f"state {explanation.depth}, or mend the model"
            + (f"; if you meant the other count, name convention={others[0]!r}" if others else ""),
            evidence=explanation,
        )
