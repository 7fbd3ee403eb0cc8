"""What moves by itself between versions of torch and its companions and is no drift, with the evidence for each.

Most of it never reaches a text: classes of ``torch.nn`` stand without their module, functions under one name, and a
parameter is left to the state. Much of the rest is another spelling, which a comparison sees through. What is listed
here is neither, and is rated cosmetic.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from pytest_archcheck.drift.severity import Change, Severity


@dataclass(frozen=True, slots=True)
class Noise:
    """Changes that a version alone makes. All but ``what`` and ``evidence`` are patterns that have to match whole.

    ``states`` is matched with ``before → after``.
    """

    what: str
    evidence: str
    layer: str
    kind: str
    attribute: str
    states: str
    beside: str = ""
    """What else has to have changed in the same module: another ``before → after``."""

    def explains(self, change: Change, others: Collection[tuple[str, str]]) -> bool:
        """Whether a change is of this sort; ``others`` are all modules that changed, each with ``before → after``."""
        found = (change.layer, change.kind, change.attribute, _states(change))
        wanted = (self.layer, self.kind, self.attribute, self.states)
        if not all(map(re.fullmatch, wanted, found)):
            return False
        return not self.beside or any(
            module == _module(change) and re.fullmatch(self.beside, states) for module, states in others
        )


def _states(change: Change) -> str:
    return f"{change.before} → {change.after}"


def _module(change: Change) -> str:
    return change.layer.partition(":")[0]


NOISE = (
    Noise(
        what="scale and zero point that a calibration gave a quantized function",
        evidence="the calibrated GoogLeNet and Inception v3 of torchvision 0.19 and 0.23 on the one side and 0.29 on "
        "the other; they are values, as weights are, and those of quantized modules are not recorded either",
        layer=r".*",
        kind=r"quantized\..*",
        attribute=r"scale|zero_point",
        states=r".*",
    ),
    Noise(
        what="the function that multiplies the experts' rows, which transformers chooses by the version of torch",
        evidence="Mixtral of transformers 5.23 on torch 2.8 and on 2.15: a fallback of its own, or torch's grouped_mm, "
        "which wants the number of rows as integers",
        layer=r".*\bexperts:(grouped_mm|transformers\.grouped_mm_fallback|int|float|histc)(#\d+)?",
        kind=r".*",
        attribute=r"call|output",
        states=r"(transformers\.grouped_mm_fallback|grouped_mm) → (transformers\.grouped_mm_fallback|grouped_mm)"
        r"|float → int|int → float|\[(\d+)\] → int32\[\3\]|int32\[(\d+)\] → \[\4\]",
        beside=r"transformers\.grouped_mm_fallback → grouped_mm|grouped_mm → transformers\.grouped_mm_fallback",
    ),
)


def without_noise(changes: Iterable[Change]) -> list[Change]:
    """The changes, those that a version alone explains rated cosmetic."""
    found = list(changes)
    others = {(_module(change), _states(change)) for change in found}
    return [
        change.rated(Severity.COSMETIC) if any(noise.explains(change, others) for noise in NOISE) else change
        for change in found
    ]
