"""``arch_layers``: how many modules of each class ran."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches

from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.traces import Trace


class Layers:
    """So many modules of each class ran: ``Layers(Conv2d=20, Linear=1)``.

    A module that is called twice counts once; one that is declared and not called does not count. A name
    is the last part of the class's name, or the whole of it (in a dict).

    Raises:
        UsageError: nothing is stated, or a number is no count.
    """

    def __init__(self, counts: Mapping[str, int] | None = None, /, **named: int) -> None:
        if counts is not None and not isinstance(counts, Mapping):
            raise UsageError(f"give classes and numbers, as in Conv2d=20, not {counts!r}", see="arch_layers")
        self.counts: dict[str, int] = {**(counts or {}), **named}
        if not self.counts:
            raise UsageError(
                "nothing is stated; write classes and numbers, as in Conv2d=20", see="arch_layers"
            )
        for name, number in self.counts.items():
            if type(number) is not int or number < 0:
                raise UsageError(
                    f"{name}={number!r}: a number of layers is a whole number, as in {name}=20",
                    see="arch_layers",
                )

    def claims(self) -> Mapping[str, object]:
        """The number for each class by itself."""
        return {f"number of {name}": number for name, number in self.counts.items()}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each class of which another number ran."""
        ran = {call.name: call.type for call in trace.layers}
        declared = {m.name: m.type for m in trace.modules if m.same_as is None}
        for name, number in self.counts.items():
            found = [layer for layer, cls in ran.items() if _is(cls, name)]
            if len(found) == number:
                continue
            idle = [layer for layer, cls in declared.items() if _is(cls, name) and layer not in ran]
            yield Violation(
                where="the model",
                expected=f"{number} × {name}",
                found=f"{len(found)}" + (f": {_listed(found)}" if found else ""),
                why=f"declared and not called: {_listed(idle)}" if idle else _nearest(name, ran),
                advice=f"state {name}={len(found)}, or mend the model",
            )


def _is(cls: str, name: str) -> bool:
    return cls == name or cls.rpartition(".")[2] == name


def _listed(names: list[str]) -> str:
    more = f", … and {len(names) - 5} more" if len(names) > 5 else ""
    return ", ".join(names[:5]) + more


def _nearest(name: str, ran: Mapping[str, str]) -> str:
    classes = sorted({cls.rpartition(".")[2] for cls in ran.values()})
    if name in classes:
        return ""
    near = get_close_matches(name, classes, n=3)
    return f"no {name} ran; {'near: ' if near else 'classes that ran: '}{', '.join(near or classes)}"
