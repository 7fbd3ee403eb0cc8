"""The drift between two traces: its changes, severity and verdict."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import zip_longest

from pytest_archcheck.collector import collector_off
from pytest_archcheck.drift.changes import find_changes
from pytest_archcheck.drift.groups import Group, Sizes, grouped, grouped_by_place
from pytest_archcheck.drift.noise import without_noise
from pytest_archcheck.drift.pairs import Pairs
from pytest_archcheck.drift.severity import FAILING, Change, Severity
from pytest_archcheck.errors import noted
from pytest_archcheck.traces import Trace


@collector_off()
def diff(before: Trace, after: Trace) -> Drift:
    """What changed from one trace to another; falsy when nothing did, and its ``str`` explains it.

    Raises:
        TypeError: an argument is no trace.
    """
    for trace in (before, after):
        if not isinstance(trace, Trace):
            raise noted(
                TypeError(
                    f"diff() compares two traces and was given {type(trace).__name__}; "
                    "make one with trace(model, inputs) or Trace.from_text(text)"
                ),
                "drift",
            )
    pairs = Pairs(before, after)
    changes = without_noise(find_changes(pairs))
    if not changes and before != after:
        changes = [_order(before, after)]
    return Drift(before, after, tuple(changes), pairs.state.new)


@dataclass(frozen=True)
class Drift:
    """The changes between two traces, causes first.

    ``names`` has the name in the trace after of every parameter, buffer and other tensor of the state that both have.
    """

    before: Trace
    after: Trace
    changes: tuple[Change, ...]
    names: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return bool(self.changes)

    @cached_property
    def causes(self) -> tuple[Change, ...]:
        """The changes that do not follow from others, the most severe first, layers before functions."""
        causes = [change for change in self.changes if change.cause]
        return tuple(sorted(causes, key=lambda change: (-change.severity, ":" in change.layer)))

    @cached_property
    def consequences(self) -> tuple[Change, ...]:
        """The changes that follow from others, in order of execution."""
        return tuple(change for change in self.changes if not change.cause)

    @property
    def severity(self) -> Severity | None:
        """The highest severity among the changes; ``None`` where there are none."""
        return max((change.severity for change in self.changes), default=None)

    def fails(self, failing: Collection[Severity] = FAILING) -> bool:
        """Whether any of the changes is of a severity that fails; by default that is all above cosmetic."""
        return any(change.severity in failing for change in self.changes)

    @cached_property
    def groups(self) -> tuple[Group, ...]:
        """The causes, those together that are the same change of several layers."""
        return tuple(grouped(self.causes, self._sizes))

    @cached_property
    def effects(self) -> tuple[Group, ...]:
        """The consequences, those together that are changes of one attribute in one place."""
        return tuple(grouped_by_place(self.consequences, self._sizes))

    @cached_property
    def _sizes(self) -> Sizes:
        return Sizes(self.before, self.after)

    @cached_property
    def renamed_keys(self) -> dict[str, str]:
        """Keys of the state dict under another name: what a checkpoint needs to load again."""
        saved = {tensor.name for tensor in self.before.state if tensor.saved}
        return {old: new for old, new in self.names.items() if old != new and old in saved}

    @property
    def verdict(self) -> str:
        """One line that says what happened."""
        from pytest_archcheck.reports.drift import verdict

        return verdict(self)

    def __str__(self) -> str:
        from pytest_archcheck.reports.drift import explain

        return explain(self)


def _order(before: Trace, after: Trace) -> Change:
    """For records whose lines are the same in another order, or that differ in what no rule has a word for."""
    lines = [trace.record_text.splitlines() for trace in (before, after)]
    if sorted(lines[0]) == sorted(lines[1]):
        names = [[tensor.name for tensor in trace.state] for trace in (before, after)]
        what = "order of execution" if names[0] == names[1] else "order of its tensors"
        old, new = names if names[0] != names[1] else ([call.id for call in t.calls] for t in (before, after))
        first, second = next((pair for pair in zip(old, new, strict=True) if pair[0] != pair[1]), ("", ""))
        return Change("the model", what, first, second, Severity.COSMETIC)
    number, (first, second) = next(
        (n, pair) for n, pair in enumerate(zip_longest(*lines, fillvalue=""), 1) if pair[0] != pair[1]
    )
    return Change(f"line {number}", "text", first, second, Severity.BEHAVIOUR)
