"""``arch_same_as``: the same architecture as a reference, up to names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_archcheck.errors import ArchcheckError, FormatError, UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.traces import Trace


class SameAs:
    """The model has the architecture of a reference, whatever its modules and attributes are called.

    The reference is a module or a function that builds one, which is recorded with the inputs of the model under test,
    a ``Trace``, or the path of an ``.arch`` file.

    Raises:
        UsageError: the reference is none of these.
    """

    def __init__(self, reference: Any, /) -> None:
        if not (callable(reference) or isinstance(reference, Trace | str | Path)):
            raise UsageError(
                f"a reference is a model, a function that builds one, a Trace or the path of an .arch file, "
                f"not {reference!r}",
                see="arch_same_as",
            )
        self.reference = reference

    def claims(self) -> Mapping[str, object]:
        """Nothing that two references could contradict each other on."""
        return {}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation, with the first differences mapped layer to layer."""
        match = trace.same_as(self._recorded(context))
        if match:
            return
        number = len(match.differences)
        yield Violation(
            "the model",
            f"the architecture of {_name(self.reference)}, up to names",
            f"{number} difference{'s' if number > 1 else ''}",
            "",
            "mend the model, or name the reference that it follows",
            evidence=match,
        )

    def _recorded(self, context: Context) -> Trace:
        if isinstance(self.reference, Trace):
            return self.reference
        if isinstance(self.reference, str | Path):
            path = Path(self.reference)
            try:
                return Trace.from_text(path.read_text("utf-8", errors="replace"))
            except OSError as error:
                why, advice = error.strerror, f"give its path as seen from {Path.cwd()}"
            except FormatError as error:
                why, advice = str(error), "restore it, or record it anew"
            raise UsageError(f"the reference {path} cannot be read: {why}; {advice}", see="arch_same_as")
        try:
            return context.record(self.reference)
        except ArchcheckError as error:
            raise type(error)(f"the reference {_name(self.reference)}: {error}", see=error.see) from error


def _name(reference: Any) -> str:
    if isinstance(reference, Trace):
        return reference.model.type
    if isinstance(reference, str | Path):
        return str(reference)
    return getattr(reference, "__qualname__", None) or type(reference).__qualname__
