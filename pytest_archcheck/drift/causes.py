"""Several changes of one forward as the one change that made them.

Where a module's setting changed, or the order of what it calls, or much of what it calls, that is the cause, and the
changes of single calls in its forward follow from it. A layer's width follows from what it is given.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace

from pytest_archcheck.drift.pairs import Pairs
from pytest_archcheck.drift.severity import ABSENT, Change, Severity, shapes_state
from pytest_archcheck.drift.structure import MODEL
from pytest_archcheck.records import LayerCall, Op, lineage
from pytest_archcheck.traces import Trace

_GIVEN = frozenset(
    "in_channels in_features num_features num_channels normalized_shape embed_dim kdim vdim input_size".split()
)
"""Settings that say how wide the input is."""
_OF_ITSELF = frozenset(("out_channels", "groups"))
"""Settings that follow from the input's width in a convolution of each channel by itself."""
_MANY = 4
"""From this number on, calls of functions that came or went in one forward are told together."""


def summarised(pairs: Pairs, changes: list[Change]) -> list[Change]:
    """The changes, with one cause in place of many where one forward explains them."""
    for rule in (_widths, _settings, _orders, _calls):
        changes = rule(pairs, changes)
    return changes


def _widths(pairs: Pairs, changes: list[Change]) -> list[Change]:
    """The width that a layer takes, where what it is given has another."""
    found = list(changes)
    old_names = {new: old for old, new in pairs.calls.items()}
    for at, change in enumerate(changes):
        if change.attribute not in _GIVEN and change.attribute not in _OF_ITSELF:
            continue
        new, old = (
            pairs.after.by_id.get(change.layer),
            pairs.before.by_id.get(old_names.get(change.layer, "")),
        )
        if not (isinstance(new, LayerCall) and isinstance(old, LayerCall)):
            continue
        given = [[spec.shape for spec in call.inputs] for call in (old, new)]
        by_channel = all(call.config.get("groups") == call.config.get("in_channels") for call in (old, new))
        if given[0] != given[1] and (change.attribute in _GIVEN or by_channel):
            _demote(found, [at])
    return found


def _settings(pairs: Pairs, changes: list[Change]) -> list[Change]:
    """A setting of a module that calls others differently since."""
    places = _by_place(pairs, changes, lambda change: change.severity > Severity.COSMETIC)
    found = list(changes)
    for at, change in enumerate(changes):
        module = pairs.modules.after.get(change.layer)
        effects = [
            effect for effect in places.get(change.layer, ()) if _may_follow(pairs, change, changes[effect])
        ]
        is_setting = module is not None and change.attribute in module.module.config
        if (
            effects
            and is_setting
            and change.severity == Severity.COSMETIC
            and change.attribute != "inplace"
            and not shapes_state(change.attribute)
        ):
            found[at] = change.rated(max(changes[effect].severity for effect in effects))
            _demote(found, [*effects, *_returned(pairs, changes, change.layer)])
    return found


def _may_follow(pairs: Pairs, setting: Change, change: Change) -> bool:
    """Whether a change can come from a module's setting: of another setting only the same one, or the same value."""
    call = pairs.after.by_id.get(change.layer)
    if not (isinstance(call, LayerCall) and change.attribute in call.module.config):
        return True
    states = (setting.before, setting.after)
    return change.attribute == setting.attribute or (change.before, change.after) == states


def _orders(pairs: Pairs, changes: list[Change]) -> list[Change]:
    """The same calls in another order."""
    found = list(changes)
    added = []
    for place, effects in _by_place(pairs, changes, _is_rewired).items():
        if len({changes[at].layer for at in effects}) < 2:
            continue  # operands of one call exchanged
        before = _sequence(pairs.before, pairs.modules.old[place], pairs.calls)
        after = _sequence(pairs.after, place, {call: call for call in pairs.calls.values()})
        if before != after and Counter(before) == Counter(after):
            states = [", ".join(_short(call, place) for call in calls) for calls in _differing(before, after)]
            kind = pairs.modules.after[place].type
            added.append(Change(place or MODEL, "order", states[0], states[1], Severity.BEHAVIOUR, kind=kind))
            _demote(found, [*effects, *_returned(pairs, changes, place)])
    return added + found


def _calls(pairs: Pairs, changes: list[Change]) -> list[Change]:
    """Much of a forward rewritten."""
    found = list(changes)
    added = []
    places = _by_place(pairs, changes, _came_or_went)
    for place, effects in places.items():
        if len(effects) < _MANY:
            continue
        gone = [changes[at].before for at in effects if changes[at].after == ABSENT]
        came = [changes[at].after for at in effects if changes[at].before == ABSENT]
        severity = max(changes[at].severity for at in effects)
        kind = pairs.modules.after[place].type
        added.append(Change(place or MODEL, "calls", _counted(gone), _counted(came), severity, kind=kind))
        _demote(found, effects)
    return added + found


def _by_place(pairs: Pairs, changes: list[Change], wanted: Callable[[Change], bool]) -> dict[str, list[int]]:
    """The causes among the changes of calls, by the module in whose forward the call stands."""
    found: dict[str, list[int]] = defaultdict(list)
    for at, change in enumerate(changes):
        if change.cause and wanted(change):
            place = _place(pairs, change)
            if place is not None:
                found[place].append(at)
    return found


def _place(pairs: Pairs, change: Change) -> str | None:
    """The module in whose forward a changed call stands, by its name after."""
    if change.layer in pairs.kept or change.layer in pairs.came:
        call, names = pairs.after.by_id[change.layer], None
    elif change.layer in pairs.gone:
        call, names = pairs.before.by_id[change.layer], pairs.modules.new
    else:
        return None
    if isinstance(call, LayerCall) and not call.module.name:
        return None
    place = call.scope if isinstance(call, Op) else lineage(call.module.name)[-2]
    known = pairs.modules.old if names is None else names
    return None if place not in known else place if names is None else names[place]


def _came_or_went(change: Change) -> bool:
    return change.attribute == "call" and ":" in change.layer and ABSENT in (change.before, change.after)


def _is_rewired(change: Change) -> bool:
    return change.attribute.startswith("input") and change.severity == Severity.BEHAVIOUR


def _returned(pairs: Pairs, changes: list[Change], place: str) -> list[int]:
    """Calls elsewhere that take another tensor of a module's forward than before."""
    inside = f"{place}." if place else ""
    return [
        at
        for at, change in enumerate(changes)
        if change.cause
        and (_is_rewired(change) or change.attribute == "source")
        and all(f"{state}.".startswith((inside, f"{place}:")) for state in (change.before, change.after))
    ]


def _sequence(trace: Trace, place: str, names: dict[str, str]) -> list[str]:
    """What a module's forward calls, in order; what only one side has is left out."""
    return [
        names[call.id]
        for call in trace.calls
        if call.id in names and (call.scope if isinstance(call, Op) else _above(call.module.name)) == place
    ]


def _above(name: str) -> str | None:
    return lineage(name)[-2] if name else None


def _differing(before: list[str], after: list[str]) -> tuple[list[str], list[str]]:
    """The two sequences without their common beginning and end."""
    start = next(at for at, (a, b) in enumerate(zip(before, after, strict=True)) if a != b)
    end = next(at for at, (a, b) in enumerate(zip(before[::-1], after[::-1], strict=True)) if a != b)
    return before[start : len(before) - end], after[start : len(after) - end]


def _short(call: str, place: str) -> str:
    return call.removeprefix(place).lstrip(".:")


def _counted(functions: Iterable[str]) -> str:
    """``roll, setitem ×9``."""
    counts = Counter(functions)
    return ", ".join(name if n == 1 else f"{name} ×{n}" for name, n in counts.items()) or ABSENT


def _demote(changes: list[Change], places: Iterable[int]) -> None:
    """Take changes for what follows."""
    for at in places:
        changes[at] = replace(changes[at], cause=False)
