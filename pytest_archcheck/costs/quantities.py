"""Numbers as people write them: ``"1.81G"``, ``"44.7 MiB"``, and what tolerance that implies."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from pytest_archcheck.errors import UsageError

_UNITS = {
    "K": 10**3,
    "M": 10**6,
    "G": 10**9,
    "T": 10**12,
    "B": 1,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
}
_NUMBER = re.compile(r"\s*(?P<digits>\d[\d_,]*)(?:\.(?P<decimals>\d+))?\s*(?P<unit>[A-Za-z]*)\s*")


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number and how far a measured one may be from it."""

    value: Fraction
    tolerance: Fraction
    text: str

    def allows(self, measured: int) -> bool:
        """Whether a measured number is within the tolerance."""
        return abs(measured - self.value) <= self.tolerance


def quantity(stated: int | float | str, *, rel: float | None = None, unit: int = 1) -> Quantity:
    """The quantity that a user stated.

    An integer is exact; a string stands for ± half of its last digit, so ``"1.81G"`` is 1.805–1.815 × 10⁹;
    ``rel`` replaces either by a share of the number. ``unit`` is what a bare number counts in.

    Raises:
        UsageError: it is no number, negative, or its unit is unknown.
    """
    if isinstance(stated, bool) or not isinstance(stated, int | float | str):
        raise UsageError(f'{stated!r} is no number; write 11_689_512, or "11.7M"')
    if rel is not None and not (isinstance(rel, int | float) and 0 <= rel < 1):
        raise UsageError(f"rel={rel!r} is no share between 0 and 1; write 0.005 for 0.5 %")
    if isinstance(stated, str):
        value, tolerance = _parse(stated, unit)
    else:
        if not math.isfinite(stated) or stated < 0:
            raise UsageError(f"{stated!r} is no count; it must be finite and not negative")
        if isinstance(stated, float) and rel is None:
            raise UsageError(f'{stated!r} is no exact count; write an integer, "1.81G", or add rel=')
        value, tolerance = Fraction(stated) * unit, Fraction(0)
    if rel is not None:
        tolerance = value * Fraction(rel)
    return Quantity(value, tolerance, _shown(stated, rel))


def _parse(text: str, bare: int) -> tuple[Fraction, Fraction]:
    match = _NUMBER.fullmatch(text)
    unit = _UNITS.get(match["unit"].upper(), bare if match["unit"] == "" else None) if match else None
    if match is None or unit is None:
        raise UsageError(
            f'{text!r} is no number; write one like "1.81G", "11.7M" or "44.7 MiB" '
            "(K, M, G and T are powers of 1000; KiB, MiB and GiB of 1024)"
        )
    digits = match["digits"].replace("_", "").replace(",", "")
    decimals = match["decimals"] or ""
    last = Fraction(unit, 10 ** len(decimals))
    return int(digits + decimals) * last, (last / 2 if unit > 1 or decimals else Fraction(0))


def _shown(stated: int | float | str, rel: float | None) -> str:
    text = stated if isinstance(stated, str) else f"{stated:,}"
    return text if rel is None else f"{text} ± {100 * rel:g} %"
