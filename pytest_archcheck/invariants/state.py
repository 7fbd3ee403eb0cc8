"""``arch_frozen``, ``arch_tied`` and ``arch_no_unused``: which parameters are trained, one tensor, of use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby

from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.invariants.patterns import checked_patterns, compiled, no_match
from pytest_archcheck.records import Ref, StateTensor, input_refs
from pytest_archcheck.traces import Trace

_SHOWN = 20


class Frozen:
    """The parameters that patterns match need no gradient, and all others do: ``Frozen("backbone.**")``.

    A pattern is matched against the names of parameters: ``*`` stays between dots, ``**`` crosses them. Without one no
    parameter is frozen.

    Raises:
        UsageError: a pattern is no text.
    """

    def __init__(self, *patterns: str) -> None:
        for pattern in patterns:
            if not isinstance(pattern, str) or not pattern:
                raise UsageError(
                    f'a pattern is text that names parameters, as in "backbone.**", not {pattern!r}',
                    see="arch_frozen",
                )
        self.patterns = patterns

    def claims(self) -> Mapping[str, object]:
        """The patterns; two marks would each say that all others are trained."""
        return {"frozen parameters": self.patterns}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each pattern that matches nothing or what is trained, and for what else is frozen."""
        params = [tensor for tensor in trace.state if tensor.kind == "param"]
        meant: set[str] = set()
        for pattern in self.patterns:
            expression = compiled(pattern)
            matched = [tensor for tensor in params if expression.fullmatch(tensor.name)]
            meant |= {tensor.name for tensor in matched}
            if not matched:
                names = [tensor.name for tensor in params]
                yield no_match(pattern, "parameters of that name", "none", "", names, "trace.state")
            trained = [tensor for tensor in matched if tensor.trainable]
            if trained:
                yield Violation(
                    pattern,
                    "no gradient",
                    f"{len(trained)} of {len(matched)} are trained",
                    "",
                    "set requires_grad_(False), or state what is frozen",
                    evidence=_listed(trained),
                )
        others = [tensor for tensor in params if not tensor.trainable and tensor.name not in meant]
        if others:
            yield Violation(
                _place_of(others),
                "trained, as all that is not stated as frozen",
                f"{len(others)} frozen parameter{'s' if len(others) > 1 else ''}",
                "",
                "state their names here, or set requires_grad_(True)",
                evidence=_listed(others),
            )


class Tied:
    """These names are one tensor: ``Tied("lm_head.weight", "model.embed_tokens.weight")``.

    Raises:
        UsageError: fewer than two names, or one of them is no text.
    """

    def __init__(self, *names: str) -> None:
        if len(names) < 2 or not all(isinstance(name, str) and name for name in names):
            raise UsageError(
                f'give the names of two or more tensors, as in "lm_head.weight", "embed.weight", not {names!r}',
                see="arch_tied",
            )
        self.names = names

    def claims(self) -> Mapping[str, object]:
        """Nothing that another mark could contradict."""
        return {}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each name that is no tensor, or not the tensor of the first name."""
        tensors = {tensor.name: tensor for tensor in trace.state}
        unknown = [name for name in self.names if name not in tensors]
        for name in unknown:
            yield no_match(
                name, "a parameter or buffer of that name", "none", "", list(tensors), "trace.state"
            )
        known = [name for name in self.names if name in tensors]
        if not known:
            return
        first = tensors[known[0]]
        for name in known[1:]:
            if _one(tensors[name]) != _one(first):
                yield Violation(
                    name,
                    f"one tensor with {first.name}",
                    "a tensor of its own" + _shapes(first, tensors[name]),
                    "",
                    "tie them, as in head.weight = embedding.weight, or leave the name out",
                )


class NoUnused:
    """Every trainable parameter is used for an output; ``allow`` names those that need not, by pattern.

    It is read from the data flow, so nothing is run but the recording, on meta where that works.

    Raises:
        UsageError: ``allow`` is no sequence of patterns.
    """

    def __init__(self, *, allow: Sequence[str] = ()) -> None:
        self.allow = checked_patterns(allow)

    def claims(self) -> Mapping[str, object]:
        """What is allowed."""
        return {"unused parameters": self.allow}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each module with such parameters, and for each pattern that matches nothing.

        Raises:
            UsageError: the data flow of the model is lost somewhere.
        """
        opaque = next((ref.name for ref in _refs(trace) if ref.name.startswith("opaque:")), None)
        if opaque is not None:
            raise UsageError(
                f"where the tensors of {opaque.removeprefix('opaque:')} come from was not recorded, so the data flow "
                "does not tell what is unused; state arch_gradients, which runs a backward, instead",
                see="arch_no_unused",
            )
        names = [tensor.name for tensor in trace.state if tensor.trainable]
        allowed: set[str] = set()
        for pattern in self.allow:
            matched = [name for name in names if compiled(pattern).fullmatch(name)]
            allowed.update(matched)
            if not matched:
                yield no_match(pattern, "trainable parameters", "none of that name", "", names, "trace.state")
        mode = "training" if trace.training else "evaluation"
        unused = [found for found in trace.unused_parameters if found.name not in allowed]
        for (module, reason), group in groupby(unused, key=lambda found: (found.module, found.reason)):
            found = [parameter.name for parameter in group]
            more = [f"… and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
            allow = found[0] if module == "." else f"{module}.*"
            yield Violation(
                "the model" if module == "." else module,
                "every trainable parameter used for an output",
                f"{len(found)} unused parameter{'s' if len(found) > 1 else ''}",
                f"{reason} in {mode} mode; DistributedDataParallel needs find_unused_parameters for it",
                f"mend the forward, or name it in allow=, as in allow=({allow!r},)",
                evidence=(*found[:_SHOWN], *more),
            )


def _refs(trace: Trace) -> Iterator[Ref]:
    """What every call and output is made from."""
    for call in trace.calls:
        yield from input_refs(call)
    yield from (output.source for output in trace.outputs)


def _one(tensor: StateTensor) -> str:
    return tensor.tied_to or tensor.name


def _shapes(first: StateTensor, other: StateTensor) -> str:
    if first.spec.shape == other.spec.shape:
        return ""
    return f" of another shape, {list(other.spec.shape)} instead of {list(first.spec.shape)}"


def _place_of(tensors: list[StateTensor]) -> str:
    return tensors[0].name if len(tensors) == 1 else f"{tensors[0].name} … {tensors[-1].name}"


def _listed(tensors: list[StateTensor]) -> tuple[str, ...]:
    more = [f"… and {len(tensors) - _SHOWN} more"] if len(tensors) > _SHOWN else []
    return (*(tensor.name for tensor in tensors[:_SHOWN]), *more)
