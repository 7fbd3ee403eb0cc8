"""What each part of a network costs: stem, stages, head; together they are the whole."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_archcheck.graph.outline import Outline, Unit
from pytest_archcheck.graph.parts import Parts
from pytest_archcheck.traces import Trace

_MOST = 12
"""Parts shown of a model without stages; more are one."""


@dataclass(frozen=True, slots=True)
class Share:
    """One part with its multiply-accumulates and parameters (elements)."""

    part: str
    macs: int
    params: int


def shares(trace: Trace, found: Outline) -> tuple[Share, ...]:
    """The parts of a trace in order; their MACs and parameters sum up to the trace's own.

    Parts are stem, stages and head, or where no blocks repeat the units at the top. What belongs to no call has a part
    of its own: parameters that nothing used, MACs of a formula for the whole model.
    """
    own = _by_part(trace, found) if trace.stage_calls else _by_unit(found)
    whole = trace.macs - sum(share.macs for share in own)
    if whole:
        own.append(Share("the model as a whole", whole, 0))
    unused = sum(module.params for module in found.unused)
    if unused:
        own.append(Share("not used", 0, unused))
    return tuple(own)


def _by_part(trace: Trace, found: Outline) -> list[Share]:
    costs = [(name, macs, params) for name, macs, params in _own(found) if macs or params]
    parts = Parts(trace, [name for name, _, _ in costs])
    sums: dict[str, tuple[int, int]] = {}
    for name, macs, params in costs:
        part = parts.of(name)
        before = sums.get(part, (0, 0))
        sums[part] = before[0] + macs, before[1] + params
    return [Share(part, macs, params) for part, (macs, params) in sums.items()]


def _own(found: Outline) -> list[tuple[str, int, int]]:
    """The cost of every call without those inside it, in order of execution."""
    costs = []
    waiting: list[Unit] = list(reversed(found.units))
    while waiting:
        unit = waiting.pop()
        macs = unit.macs - sum(part.macs for part in unit.parts)
        params = unit.params - sum(part.params for part in unit.parts)
        costs.append((unit.name, macs, params))
        waiting.extend(reversed(unit.parts))
    return costs


def _by_unit(found: Outline) -> list[Share]:
    every = [Share(unit.name, unit.macs, unit.params) for unit in found.units if unit.macs or unit.params]
    if len(every) <= _MOST:
        return every
    dearest = sorted(every, key=lambda share: (-share.macs, -share.params))[: _MOST - 1]
    rest = [share for share in every if share not in dearest]
    others = Share(
        f"{len(rest)} others", sum(share.macs for share in rest), sum(share.params for share in rest)
    )
    return [*(share for share in every if share in dearest), others]
