"""Budgets of a whole project, from its configuration file: ``arch_budgets``.

One for each line, ``<number> [of <pattern>] <= <limit>``, as in ``macs <= 5G``, ``params of head <= 10M`` or
``size <= 400 MiB``. They hold for every model that a test records; what a test's own mark says of the same limit takes
their place, and one of a module holds for the models that have such a module.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Invariant, Violation
from pytest_archcheck.invariants.counts import ActivationPeak, Flops, Macs, Params, Size
from pytest_archcheck.invariants.numbers import Number
from pytest_archcheck.invariants.patterns import modules_matching
from pytest_archcheck.traces import Trace

_NUMBERS: dict[str, type[Number]] = {
    "macs": Macs,
    "flops": Flops,
    "params": Params,
    "size": Size,
    "activations": ActivationPeak,
}
_LINE = re.compile(
    r"(?P<name>[A-Za-z]+)(?:\s+of\s+(?P<pattern>[\w.*-]*[\w*]))?\s*(?P<relation><=|>=|≤|≥)\s*(?P<limit>[^<>≤≥]+)"
)


@dataclass(frozen=True)
class _ModuleBudget:
    """A budget of a module, for models that have one of that name."""

    number: Number
    pattern: str

    def claims(self) -> Mapping[str, object]:
        return self.number.claims()

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        if modules_matching(trace, self.pattern):
            yield from self.number.check(trace, context)


def budgets_of(lines: Sequence[str]) -> tuple[tuple[str, Invariant], ...]:
    """The budgets of a configuration, each with its spelling.

    Raises:
        UsageError: a line is none.
    """
    plain = (line.partition(" #")[0].strip() for line in lines)
    return tuple((f"arch_budgets: {line}", _budget(line)) for line in plain if line)


def _budget(line: str) -> Invariant:
    match = _LINE.fullmatch(line)
    number = _NUMBERS.get(match["name"].lower()) if match else None
    if match is None or number is None:
        raise UsageError(
            f"arch_budgets: {line!r} is no budget; write one like 'macs <= 5G', 'params of head <= 10M' or "
            f"'size <= 400 MiB' (of {', '.join(_NUMBERS)})",
            see="arch_budgets",
        )
    at_most = match["relation"] in ("<=", "≤")
    try:
        if match["pattern"]:
            stated = {match["pattern"]: f"{'≤' if at_most else '≥'} {match['limit']}"}
            return _ModuleBudget(number(stated), match["pattern"])
        return number(at_most=match["limit"]) if at_most else number(at_least=match["limit"])
    except UsageError as error:
        raise UsageError(f"arch_budgets: {line!r}: {error}", see="arch_budgets") from None


def that_apply(
    budgets: tuple[tuple[str, Invariant], ...], own: tuple[tuple[str, Invariant], ...]
) -> tuple[tuple[str, Invariant], ...]:
    """The budgets on which a test's own marks say nothing."""
    said = {claim for _, invariant in own for claim in invariant.claims()}
    return tuple((text, budget) for text, budget in budgets if said.isdisjoint(budget.claims()))
