"""How much a change matters, and the rules that decide it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum

from pytest_archcheck.records import Call, LayerCall, Module


class Severity(IntEnum):
    """From harmless to harmful; a larger one wins."""

    COSMETIC = 1
    """A class or module renamed without its keys, an in-place flag: nothing computes otherwise."""
    COST = 2
    """Only MACs or memory."""
    TRAINING = 3
    """Trainability, dropout, momentum, tying: evaluation computes the same."""
    BEHAVIOUR = 4
    """The same state, another computation."""
    BREAKING = 5
    """State-dict keys, parameter shapes or dtypes, the model's inputs or outputs."""

    def __str__(self) -> str:
        return self.name.lower()


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two traces; ``before`` and ``after`` are spelled as in the text.

    ``cause`` is false for what merely follows from another change, as shapes follow from a stride.
    """

    layer: str
    attribute: str
    before: str
    after: str
    severity: Severity
    cause: bool = True

    def __str__(self) -> str:
        return f"{self.layer} {self.attribute} {self.before} → {self.after}"


_RANDOM = re.compile(r"drop|stochastic_?depth", re.IGNORECASE)
_TRAINING_KEYS = {"training", "momentum", "dropout", "dropout_p", "drop_prob", "drop_rate", "layerdrop"}


def config_severity(module: Module, key: str, has_children: bool, atomic: bool) -> Severity:
    """For a constructor's argument of a module.

    What a module with children, or a user's own, was built with shows in what it calls: a change of nothing
    else computes the same here, and may differ in training only where no children show it.
    """
    if key == "inplace" or (has_children and not atomic and key != "training"):
        return Severity.COSMETIC
    if key in _TRAINING_KEYS or _RANDOM.search(module.type) or not atomic:
        return Severity.TRAINING
    return Severity.BEHAVIOUR


def argument_severity(call: Call, key: str) -> Severity:
    """For an argument of a layer call or an op."""
    function = call.type if isinstance(call, LayerCall) else call.function
    if key in _TRAINING_KEYS or (key == "p" and _RANDOM.search(function)):
        return Severity.TRAINING
    return Severity.BEHAVIOUR


def presence_severity(call: Call) -> Severity:
    """For a call that is new or gone."""
    if isinstance(call, LayerCall) and not call.atomic:
        return Severity.COSMETIC  # what it called is reported by itself
    function = call.type if isinstance(call, LayerCall) else call.function
    if _RANDOM.search(function):
        return Severity.TRAINING
    return Severity.COSMETIC if function == "Identity" else Severity.BEHAVIOUR
