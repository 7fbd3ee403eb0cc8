"""What a comparison up to names says: whether two models are the same, how they differ, and the mapping of names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pytest_archcheck.matching.names import NameMapping


@dataclass(frozen=True, slots=True)
class Difference:
    """A place where two models differ: ``layer`` of the one, ``reference`` of the other; ``""`` where there is none."""

    layer: str
    reference: str
    attribute: str
    found: str
    expected: str

    def __str__(self) -> str:
        place = (
            self.layer if self.layer == self.reference else f"{self.layer or '–'} ↔ {self.reference or '–'}"
        )
        return f"{place}: {self.attribute} {self.found}, in the reference {self.expected}"


@dataclass(frozen=True, slots=True)
class Match:
    """The comparison of two models up to names; true where they have the same architecture.

    ``mapping`` gives each name of the state dict its name in the reference, and is ``None`` where they differ.
    ``differences`` are in order of execution, and where the structure differs the first of it. ``ambiguous`` are groups
    of calls that could be paired otherwise as well (identical branches); they are paired in order of execution.
    ``by_shape`` are tensors that no state dict holds and no recorded call made; their values were not compared.
    ``tensors`` are all that a call uses, saved or not, each with its counterpart.
    """

    differences: tuple[Difference, ...]
    mapping: NameMapping | None
    ambiguous: tuple[tuple[str, ...], ...]
    by_shape: tuple[str, ...] = ()
    tensors: Mapping[str, str] = field(default_factory=dict, repr=False)

    def __bool__(self) -> bool:
        return not self.differences

    def __str__(self) -> str:
        from pytest_archcheck.reports.match import render_match

        return render_match(self)
