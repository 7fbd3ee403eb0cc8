"""Numbers as people write them: ``"1.81G"``, ``"7B"``, ``"44.7 MiB"``, ``"≤ 3.6G"``, and what each allows."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from fractions import Fraction

from pytest_archcheck.errors import UsageError

Stated = int | float | str

_UNITS = {"K": 10**3, "M": 10**6, "G": 10**9, "B": 10**9, "T": 10**12}
_BYTES = {
    **{f"{name}{suffix}": size for name, size in _UNITS.items() if name != "B" for suffix in ("", "B")},
    "B": 1,
    "KIB": 2**10,
    "MIB": 2**20,
    "GIB": 2**30,
    "TIB": 2**40,
}
_NUMBER = re.compile(
    r"\s*(?P<relation>≤|≥|<=|>=)?\s*(?P<digits>\d{1,3}(?:,\d{3})+|\d+(?:_\d+)*)"
    r"(?:\.(?P<decimals>\d+))?\s*(?P<unit>[A-Za-z]*)\s*"
)
_RELATIONS = {"<=": "≤", ">=": "≥"}


@dataclass(frozen=True, slots=True)
class Quantity:
    """A number, how far a measured one may be from it, and for a limit (``≤``, ``≥``) on which side."""

    value: Fraction
    tolerance: Fraction
    text: str
    relation: str = "="

    def allows(self, measured: int) -> bool:
        """Whether a measured number is within the tolerance, or on the right side of the limit."""
        if self.relation == "≤":
            return measured <= self.value
        if self.relation == "≥":
            return measured >= self.value
        return abs(measured - self.value) <= self.tolerance


def quantity(
    stated: Stated, *, rel: float | None = None, within: Stated | None = None, unit: int = 1
) -> Quantity:
    """The quantity that a user stated.

    An integer is exact; a string stands for ± half of its last digit, so ``"1.81G"`` is 1.805–1.815 × 10⁹; a string
    that begins with ``≤`` or ``≥`` is a limit, and exact. ``rel`` replaces a tolerance by a share of the number and
    ``within`` by a number. ``unit`` is what a bare number counts in: 1, or 2²⁰ where bytes are meant, which have other
    units (``"7B"`` is 7 × 10⁹ of anything else).

    Raises:
        UsageError: it is no number, negative, or its unit is unknown; or both tolerances are given.
    """
    if isinstance(stated, bool) or not isinstance(stated, int | float | str):
        raise UsageError(f'{stated!r} is no number; write 11_689_512, or "11.7M"', see="marks")
    if rel is not None and (isinstance(rel, bool) or not (isinstance(rel, int | float) and 0 <= rel < 1)):
        raise UsageError(f"rel={rel!r} is no share between 0 and 1; write 0.005 for 0.5 %", see="marks")
    if rel is not None and within is not None:
        raise UsageError(f"rel={rel!r} and abs={within!r}: give one tolerance", see="marks")
    relation, tolerance = "=", Fraction(0)
    if isinstance(stated, str):
        relation, value, tolerance = _parse(stated, unit)
    else:
        if (isinstance(stated, float) and not math.isfinite(stated)) or stated < 0:
            raise UsageError(
                f"{stated!r} is no count; it must be finite and not negative, as in 11_689_512", see="marks"
            )
        if isinstance(stated, float) and rel is None and within is None and unit == 1:
            raise UsageError(
                f'{stated!r} is no exact count; write an integer, "1.81G", or add rel=', see="marks"
            )
        value = Fraction(stated) * unit
    if relation != "=":
        return Quantity(value, Fraction(0), _shown(stated, unit), relation)
    if rel is not None:
        return Quantity(value, value * Fraction(rel), f"{_shown(stated, unit)} ± {100 * rel:g} %")
    if within is not None:
        return Quantity(
            value, limit(within, "≤", unit=unit).value, f"{_shown(stated, unit)} ± {_shown(within, unit)}"
        )
    return Quantity(value, tolerance, _shown(stated, unit))


def limit(stated: Stated, relation: str, *, unit: int = 1) -> Quantity:
    """A limit on one side: ``limit("5G", "≤")``.

    Raises:
        UsageError: it is no number, or has a relation of its own.
    """
    if isinstance(stated, float) and math.isfinite(stated) and stated == int(stated):
        stated = int(stated)
    found = quantity(stated, unit=unit)
    if found.relation != "=":
        raise UsageError(f"{stated!r} says {found.relation} itself; give the number alone", see="marks")
    return Quantity(found.value, Fraction(0), found.text, relation)


def _parse(text: str, bare: int) -> tuple[str, Fraction, Fraction]:
    match = _NUMBER.fullmatch(text)
    units = {"": bare, **(_BYTES if bare > 1 else _UNITS)}
    unit = units.get(match["unit"].upper()) if match else None
    if match is None or unit is None:
        examples = (
            '"44.7 MiB", "512 KiB" or "≤ 100 MiB"' if bare > 1 else '"1.81G", "11.7M", "7B" or "≤ 3.6G"'
        )
        powers = "KiB, MiB, GiB are powers of 1024" if bare > 1 else "K, M, G, T are powers of 1000, B is G"
        raise UsageError(f"{text!r} is no number; write one like {examples} ({powers})", see="marks")
    digits = match["digits"].replace("_", "").replace(",", "")
    decimals = match["decimals"] or ""
    if unit == 1 and decimals:
        raise UsageError(
            f"{text!r} is no whole count; with a unit it would be {text}M or {text}G", see="marks"
        )
    last = Fraction(unit, 10 ** len(decimals))
    relation = match["relation"] or "="
    rounded = unit > 1 or bool(decimals)
    return (
        _RELATIONS.get(relation, relation),
        int(digits + decimals) * last,
        last / 2 if rounded else Fraction(0),
    )


def _shown(stated: Stated, bare: int) -> str:
    """The number as it was written; one without a unit that counts in MiB says so."""
    text = stated.strip().lstrip("≤≥<=> ") if isinstance(stated, str) else f"{stated:,}"
    return f"{text} MiB" if bare == 2**20 and not any(letter.isalpha() for letter in text) else text
