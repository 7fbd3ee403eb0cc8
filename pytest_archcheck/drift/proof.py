"""Changes of spelling, told from changes of computation by a proof that both traces compute the same."""

from __future__ import annotations

from pytest_archcheck.drift.pairs import Pairs
from pytest_archcheck.drift.severity import Change, Severity
from pytest_archcheck.records import LayerCall


def without_the_same_computation(pairs: Pairs, changes: list[Change]) -> list[Change]:
    """The changes, those that compute the same rated cosmetic, or ``cost`` where that takes other MACs.

    It is shown for the model as a whole: the same computation from the same tensors of the state, in normal form
    (``matching``).
    """
    doubtful = [change for change in changes if change.severity == Severity.BEHAVIOUR]
    if not doubtful or any(_rules_it_out(pairs, change) for change in changes):
        return changes
    from pytest_archcheck.matching.compare import match

    found = match(pairs.before, pairs.after)
    if found.mapping is None:
        return changes
    if any(pairs.state.new.get(old) != new for old, new in (*found.mapping.items(), *found.tensors.items())):
        return changes
    severity = Severity.COSMETIC if pairs.before.macs == pairs.after.macs else Severity.COST
    return [change.rated(severity) if change.severity == Severity.BEHAVIOUR else change for change in changes]


def _rules_it_out(pairs: Pairs, change: Change) -> bool:
    """Whether there is no need to try: another setting of a layer, or other tensors."""
    if change.severity == Severity.BREAKING:
        return change.attribute not in ("name", "prefix of all names")
    call = pairs.after.by_id.get(change.layer)
    is_setting = isinstance(call, LayerCall) and change.attribute in call.config
    return is_setting and change.severity == Severity.BEHAVIOUR
