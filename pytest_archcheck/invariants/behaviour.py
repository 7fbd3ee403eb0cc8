"""``arch_gradients``, ``arch_batch_independent``, ``arch_causal``, ``arch_deterministic``: what shows in a run.

These run clones of the model under test with values, on CUDA where there is one, else on cpu.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from pytest_archcheck.behaviour import Dependence, ParameterGradient
from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.invariants.patterns import checked_patterns, compiled, no_match
from pytest_archcheck.traces import Trace

_SHOWN = 20
_ALLOW = "name it in allow=, as in allow=({!r},)"


class GradientFlow:
    """Every trainable parameter gets a gradient that is finite and not zero; ``allow`` names those that need not.

    A pattern in ``allow`` is matched against the names of parameters: ``*`` stays between dots, ``**`` crosses them.

    Raises:
        UsageError: ``allow`` is no sequence of patterns.
    """

    def __init__(self, *, allow: Sequence[str] = ()) -> None:
        self.allow = checked_patterns(allow)

    def claims(self) -> Mapping[str, object]:
        """What is allowed."""
        return {"parameters without a gradient": self.allow}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each module and sort of failure, and for each pattern that matches nothing."""
        table = context.probe("arch_gradients").gradients().table
        allowed: set[str] = set()
        for pattern in self.allow:
            matched = [g.name for g in table if compiled(pattern).fullmatch(g.name)]
            allowed.update(matched)
            if not matched:
                yield no_match(
                    pattern,
                    "trainable parameters",
                    "none of that name",
                    "",
                    [g.name for g in table],
                    "state_dict()",
                )
        judged = [gradient for gradient in table if gradient.name not in allowed]
        for (layer, fault), group in groupby(judged, key=lambda g: (g.layer, _fault(g))):
            if fault:
                found = list(group)
                yield Violation(
                    layer or "the model",
                    "a finite gradient that is not zero",
                    fault,
                    _why(found[0], trace),
                    f"mend the forward, or {_ALLOW.format(f'{layer}.*' if layer else found[0].name)}",
                    evidence=tuple(g.name for g in found[:_SHOWN]),
                )


def _fault(gradient: ParameterGradient) -> str:
    if gradient.norm is None:
        return "none"
    if not gradient.finite:
        return "NaN or infinity"
    return "zero" if gradient.zeros == 1.0 else ""


def _why(gradient: ParameterGradient, trace: Trace) -> str:
    if gradient.norm is not None:
        return ""
    mode = "training" if trace.training else "evaluation"
    return f"{gradient.reason} in {mode} mode; DistributedDataParallel needs find_unused_parameters for it"


class BatchIndependent:
    """No row of an output depends on another row of the inputs.

    ``dim`` is the axis of the batch. The model under test needs inputs of two rows or more, and runs in its own mode.

    Raises:
        UsageError: ``dim`` is no whole number.
    """

    def __init__(self, *, dim: int = 0) -> None:
        self.dim = _axis(dim)

    def claims(self) -> Mapping[str, object]:
        """The axis."""
        return {"batch axis": self.dim}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each output that mixes rows, with the first layer that does."""
        for found in context.probe("arch_batch_independent").dependence("batch", self.dim):
            why = "batch norm in training mode normalises over the batch" if _is_norm(found, trace) else ""
            yield _violation(
                found, "no dependence on other rows", f"row {_first(found)} depends on row 0", why
            )


class Causal:
    """No output depends on a later position of the inputs; ``dim`` is the axis of time.

    The model under test needs inputs of two positions or more. Three are tried: the second, the middle and the last.

    Raises:
        UsageError: ``dim`` is no whole number.
    """

    def __init__(self, *, dim: int = 1) -> None:
        self.dim = _axis(dim)

    def claims(self) -> Mapping[str, object]:
        """The axis."""
        return {"time axis": self.dim}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each output that looks ahead, with the first layer that does."""
        for found in context.probe("arch_causal").dependence("time", self.dim):
            yield _violation(
                found,
                "no dependence on later positions",
                f"position {_first(found)} depends on a later one",
                "",
            )


class Deterministic:
    """The outputs do not depend on the random state: nothing is drawn in the mode of the model under test."""

    def __init__(self) -> None:
        pass

    def claims(self) -> Mapping[str, object]:
        """Nothing that another mark could contradict."""
        return {}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each output that changes, with the first layer that draws."""
        for found in context.probe("arch_deterministic").dependence("seed"):
            yield _violation(found, "the same output whatever the random state", "another one", "")


def _violation(found: Dependence, expected: str, told: str, why: str) -> Violation:
    output = f"output {found.output}".strip() if found.output else "the output"
    layer = "the model's own forward" if found.layer == "." else f"{found.layer} ({found.type})"
    change = "another shape" if found.change == float("inf") else f"{found.change:.1%} of its largest element"
    return Violation(
        output,
        expected,
        told,
        why or f"it changes by {change}",
        f"the first layer that brings it in is {layer}; mend it, or leave the mark out",
    )


def _first(found: Dependence) -> str:
    return str(found.positions[0]) if found.positions else "?"


def _is_norm(found: Dependence, trace: Trace) -> bool:
    return trace.training and "BatchNorm" in found.type


def _axis(dim: object) -> int:
    if type(dim) is not int:
        raise UsageError(f"dim is the number of an axis, not {dim!r}", see="behaviour")
    return dim
