"""How much a change matters, and the rules that decide it."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import IntEnum

from pytest_archcheck.errors import UsageError
from pytest_archcheck.records import Call, LayerCall, Module

ABSENT = "absent"


class Severity(IntEnum):
    """From harmless to harmful; a larger one wins."""

    COSMETIC = 1
    """A class or module renamed without its keys, an in-place flag, another spelling of the same computation."""
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


FAILING = frozenset(Severity) - {Severity.COSMETIC}
"""What fails where nobody says otherwise."""


@dataclass(frozen=True, slots=True)
class Change:
    """One difference between two traces; ``before`` and ``after`` are spelled as in the text.

    ``layer`` is the name in the trace after, or before where it is gone; ``kind`` its class, function or kind of
    tensor. ``cause`` is false for what merely follows from another change, as shapes follow from a stride.
    """

    layer: str
    attribute: str
    before: str
    after: str
    severity: Severity
    cause: bool = True
    kind: str = ""

    def __str__(self) -> str:
        if self.attribute == "name":
            return f"{self.before} renamed to {self.after}"
        return f"{self.layer} {self.attribute} {self.before} → {self.after}"

    def rated(self, severity: Severity) -> Change:
        """The same change, taken to matter more or less."""
        return replace(self, severity=severity)


def severities_of(text: str) -> frozenset[Severity]:
    """The severities that a list of names stands for: ``"breaking, behaviour"``, or ``"none"``.

    Raises:
        UsageError: a word is no severity.
    """
    words = text.replace(",", " ").split()
    if words == ["none"]:
        return frozenset()
    names = {str(severity): severity for severity in Severity}
    for word in words:
        if word not in names:
            raise UsageError(
                f"{word!r} is no severity; choose from {', '.join(reversed(names))}, several with commas, or none",
                see="drift",
            )
    if not words:
        raise UsageError(
            f"no severity is named; choose from {', '.join(reversed(names))}, or none", see="drift"
        )
    return frozenset(names[word] for word in words)


_RANDOM = re.compile(r"drop|stochastic_?depth", re.IGNORECASE)
_TRAINING_KEYS = {"training", "momentum", "dropout", "dropout_p", "drop_prob", "drop_rate", "layerdrop"}
_STATE_KEYS = re.compile(
    r"(in|out)_(channels|features)|kernel_size|groups|bias|num_(features|channels|embeddings|parameters|layers)"
    r"|normalized_shape|(elementwise_)?affine|embedding_dim|track_running_stats|(input|hidden|proj)_size"
    r"|embed_dim|kdim|vdim|bidirectional|class|call|blocks|module|uncalled module|name"
)
_SILENT = {"detach", "detach_", "requires_grad_"}


def config_severity(module: Module, key: str, has_children: bool, atomic: bool, training: bool) -> Severity:
    """For a constructor's argument of a module, or its mode, in a model recorded in training mode or not.

    What a module with children, or a user's own, was built with shows in what it calls: a change of nothing
    else computes the same here, and may differ in training only where no children show it.
    """
    if key == "training":
        return Severity.TRAINING if training else Severity.BEHAVIOUR
    if key == "inplace" or (has_children and not atomic):
        return Severity.COSMETIC
    if key in _TRAINING_KEYS or _RANDOM.search(module.type) or not atomic:
        return Severity.TRAINING
    return Severity.BEHAVIOUR


def argument_severity(call: Call, key: str, training: bool) -> Severity:
    """For an argument of a layer call or an op, in a model recorded in training mode or not."""
    if key in ("training", "dropout_p"):
        return Severity.TRAINING if training else Severity.BEHAVIOUR
    if key in _TRAINING_KEYS:
        return Severity.TRAINING
    if key == "p" and _RANDOM.search(kind_of(call)):
        return Severity.TRAINING if training or not drops(call, training) else Severity.BEHAVIOUR
    return Severity.COSMETIC if key == "inplace" else Severity.BEHAVIOUR


def presence_severity(call: Call, training: bool) -> Severity:
    """For an atomic layer call or op that is new or gone, by what it does."""
    function = kind_of(call)
    if _RANDOM.search(function):
        rate = call.config.get("p") if isinstance(call, LayerCall) else call.kwargs.get("p")
        if rate == 0:
            return Severity.COSMETIC
        return Severity.BEHAVIOUR if drops(call, training) and not training else Severity.TRAINING
    if function in _SILENT:
        return Severity.TRAINING
    return Severity.COSMETIC if function in ("Identity", "contiguous") else Severity.BEHAVIOUR


def drops(call: Call, training: bool) -> bool:
    """Whether a dropout is at work: a module's by its mode, a function's by its argument, which is true by default."""
    if isinstance(call, LayerCall):
        return bool(call.config.get("training", training))
    return bool(call.kwargs.get("training", True))


def is_random(call: Call) -> bool:
    """Whether a call is a dropout of some kind."""
    return _RANDOM.search(kind_of(call)) is not None


def shapes_state(attribute: str) -> bool:
    """Whether a setting decides which tensors a layer has, and of what shape."""
    return _STATE_KEYS.fullmatch(attribute) is not None


def kind_of(call: Call) -> str:
    """A layer's class or an op's function."""
    return call.type if isinstance(call, LayerCall) else call.function
