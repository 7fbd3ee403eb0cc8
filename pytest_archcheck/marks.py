"""The marks as typed decorators, and what the marks of one test state.

``@arch_depth(18, convention="paper")`` is ``pytest.mark.arch_depth(18, convention="paper")``. Only those that take a
model are more: written by hand, ``pytest.mark.arch_same_as(resnet18)`` would decorate, that is call, ``resnet18``; the
bare ones are ``pytest.mark.arch.with_args(resnet18, inputs=…)`` and ``pytest.mark.arch_same_as.with_args(resnet18)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any, TypeAlias, TypedDict, Unpack

import pytest

from pytest_archcheck.costs.quantities import Stated
from pytest_archcheck.errors import UsageError
from pytest_archcheck.inputs import positional
from pytest_archcheck.invariants import INVARIANTS, Invariant
from pytest_archcheck.invariants.shapes import Dim, Shape


def arch(
    model: Any, *, inputs: Any, kwargs: Mapping[str, Any] | None = None, train: bool = False
) -> pytest.MarkDecorator:
    """The model under test: a module or a factory, and what it is called with; see ``trace``."""
    return pytest.mark.arch.with_args(model, inputs=inputs, kwargs=kwargs, train=train)


def arch_depth(n: int, *, convention: str) -> pytest.MarkDecorator:
    """The model is ``n`` layers deep under a convention; see ``graph.conventions``."""
    return pytest.mark.arch_depth(n, convention=convention)


def arch_layers(counts: Mapping[str, int] | None = None, /, **named: int) -> pytest.MarkDecorator:
    """So many modules of each class ran: ``arch_layers(Conv2d=20, Linear=1)``."""
    return pytest.mark.arch_layers(*(() if counts is None else (counts,)), **named)


class Limits(TypedDict, total=False):
    """The keywords of all marks of numbers: a tolerance of the total (one of the two), and limits."""

    rel: float
    abs: Stated
    at_most: Stated
    at_least: Stated


Numbers: TypeAlias = Stated | Mapping[str, Stated] | None
"""A total, or numbers by module name pattern."""


def arch_params(
    total: Numbers = None, *, trainable: Stated | None = None, **limits: Unpack[Limits]
) -> pytest.MarkDecorator:
    """Parameters in total or by module, trainable ones, or limits; tied ones count once."""
    return pytest.mark.arch_params(total, trainable=trainable, **limits)


def arch_macs(
    total: Numbers = None, *, counter: str | None = None, **limits: Unpack[Limits]
) -> pytest.MarkDecorator:
    """Multiply-accumulates of one forward, in total or by module: ``arch_macs({"backbone": "≤ 3.6G"})``.

    A string like ``"1.81G"`` is ± half its last digit; ``counter`` is the way of counting, see ``costs.counters``.
    """
    return pytest.mark.arch_macs(total, counter=counter, **limits)


def arch_flops(
    total: Numbers = None, *, counter: str | None = None, **limits: Unpack[Limits]
) -> pytest.MarkDecorator:
    """Floating-point operations of one forward: 2 × MACs."""
    return pytest.mark.arch_flops(total, counter=counter, **limits)


def arch_size(mib: Numbers = None, **limits: Unpack[Limits]) -> pytest.MarkDecorator:
    """Size of the saved state in MiB, in total or by module; without a tolerance within 0.5 %."""
    return pytest.mark.arch_size(mib, **limits)


def arch_activations(mib: Stated | None = None, **limits: Unpack[Limits]) -> pytest.MarkDecorator:
    """The estimated peak of a forward's activations in MiB; see ``costs.activations``."""
    return pytest.mark.arch_activations(mib, **limits)


def arch_output(*shape: Dim, path: str | None = None) -> pytest.MarkDecorator:
    """Shape of the main output, batch included, or of the output at ``path``."""
    return pytest.mark.arch_output(*shape, path=path)


def arch_shapes(shapes: Mapping[str, Shape], /) -> pytest.MarkDecorator:
    """Output shapes of layers by name pattern: ``*`` stays between dots, ``**`` crosses them."""
    return pytest.mark.arch_shapes.with_args(shapes)


def arch_stages(pattern: Sequence[int], /) -> pytest.MarkDecorator:
    """Number of repeated blocks in each stage: ``arch_stages((3, 4, 6, 3))``; see ``graph.blocks``."""
    return pytest.mark.arch_stages(pattern)


def arch_shortcuts(
    *,
    identity: int | None = None,
    projection: int | None = None,
    padding: int | None = None,
    resampled: int | None = None,
) -> pytest.MarkDecorator:
    """Number of shortcuts of each kind: ``arch_shortcuts(identity=12, projection=4)``; see ``graph.shortcuts``."""
    return pytest.mark.arch_shortcuts(
        identity=identity, projection=projection, padding=padding, resampled=resampled
    )


def arch_receptive_field(
    size: int | tuple[int, ...], *, stride: float | tuple[float, ...] | None = None, at: str | None = None
) -> pytest.MarkDecorator:
    """Input positions that one position of the last feature map sees, or one of the layer ``at``."""
    return pytest.mark.arch_receptive_field(size, stride=stride, at=at)


def arch_same_as(reference: Any, /) -> pytest.MarkDecorator:
    """The architecture of a model, factory, ``Trace`` or ``.arch`` file, up to names; see ``matching.compare``."""
    return pytest.mark.arch_same_as.with_args(reference)


def arch_frozen(*patterns: str) -> pytest.MarkDecorator:
    """The parameters that patterns match need no gradient, and all others do: ``arch_frozen("backbone.**")``."""
    return pytest.mark.arch_frozen(*patterns)


def arch_tied(*names: str) -> pytest.MarkDecorator:
    """These names are one tensor: ``arch_tied("lm_head.weight", "model.embed_tokens.weight")``."""
    return pytest.mark.arch_tied(*names)


def arch_no_unused(*, allow: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Every trainable parameter is used for an output, by the data flow alone; ``allow`` names exceptions."""
    return pytest.mark.arch_no_unused(allow=allow)


def arch_checkpoint(
    reference: str | PathLike[str] | Mapping[str, Any] | Sequence[str], /
) -> pytest.MarkDecorator:
    """The model takes every tensor of a checkpoint, by name and shape: ``arch_checkpoint("reference.safetensors")``."""
    return pytest.mark.arch_checkpoint(reference)


def arch_shapes_for(inputs: str, output: str, /, **sizes: int | Sequence[int]) -> pytest.MarkDecorator:
    """The shape contract holds for other sizes: ``arch_shapes_for("B 3 H W", "B 1000", B=(1, 3), H=224, W=224)``."""
    return pytest.mark.arch_shapes_for(inputs, output, **sizes)


def arch_mode_parity() -> pytest.MarkDecorator:
    """Training and evaluation mode run the same layers, but for dropout, norms and auxiliary heads."""
    return pytest.mark.arch_mode_parity()


def arch_dtype(dtype: str, *, autocast: bool = False, allow: Sequence[str] = ()) -> pytest.MarkDecorator:
    """No layer gives another floating dtype, and nothing float64: ``arch_dtype("bfloat16")``."""
    return pytest.mark.arch_dtype(dtype, autocast=autocast, allow=allow)


def arch_initialised(*, allow: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Every parameter is initialised, no matrix is constant, and every tensor is a parameter or a buffer."""
    return pytest.mark.arch_initialised(allow=allow)


def arch_exportable(*, export: bool = True, compile: bool = True) -> pytest.MarkDecorator:
    """``torch.export`` and ``torch.compile(fullgraph=True)`` take the architecture."""
    return pytest.mark.arch_exportable(export=export, compile=compile)


def arch_gradients(*, allow: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Every trainable parameter gets a finite gradient that is not zero, but for those that ``allow`` names."""
    return pytest.mark.arch_gradients(allow=allow)


def arch_batch_independent(*, dim: int = 0) -> pytest.MarkDecorator:
    """No output row depends on another input row; ``dim`` is the axis of the batch."""
    return pytest.mark.arch_batch_independent(dim=dim)


def arch_causal(*, dim: int = 1) -> pytest.MarkDecorator:
    """No output depends on a later position of the inputs; ``dim`` is the axis of time."""
    return pytest.mark.arch_causal(dim=dim)


def arch_deterministic() -> pytest.MarkDecorator:
    """The outputs do not depend on the random state."""
    return pytest.mark.arch_deterministic()


@dataclass(frozen=True)
class ModelUnderTest:
    """What an ``arch`` mark states."""

    model: Any
    inputs: Any
    kwargs: Mapping[str, Any] | None
    train: bool


@dataclass(frozen=True)
class Statements:
    """Everything that the marks of one test state."""

    subject: ModelUnderTest | None
    invariants: tuple[tuple[str, Invariant], ...]
    """Each with its spelling, ``@arch_depth(18, convention='paper')``."""

    def also(self, invariants: tuple[tuple[str, Invariant], ...]) -> Statements:
        """The same with more invariants."""
        return Statements(self.subject, (*self.invariants, *invariants))

    def __bool__(self) -> bool:
        return self.subject is not None or bool(self.invariants)


def statements_of(node: pytest.Item | pytest.Function | Any) -> Statements:
    """The statements of a test, its class and its module.

    Raises:
        UsageError: a mark's arguments make no sense, or two marks contradict each other.
    """
    subject = _subject(node)
    invariants: list[tuple[str, Invariant]] = []
    claimed: dict[str, tuple[object, str]] = {}
    for mark in reversed(list(node.iter_markers())):
        if mark.name not in INVARIANTS:
            continue
        text = spelling(mark)
        invariant = _invariant(mark, text)
        for claim, value in invariant.claims().items():
            first, where = claimed.setdefault(claim, (value, text))
            if first != value:
                raise UsageError(f"{where} and {text} contradict each other on the {claim}; keep one")
        invariants.append((text, invariant))
    return Statements(subject, tuple(invariants))


def spelling(mark: pytest.Mark) -> str:
    """A mark as it was written, long arguments cut; arguments left at ``None`` are not shown."""
    parts = [_short(value) for value in mark.args if value is not None]
    parts += [f"{key}={_short(value)}" for key, value in mark.kwargs.items() if value is not None]
    return f"@{mark.name}({', '.join(parts)})"


def _short(value: Any) -> str:
    text = getattr(value, "__qualname__", None) or repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _subject(node: Any) -> ModelUnderTest | None:
    own = [mark for mark in getattr(node, "own_markers", ()) if mark.name == "arch"]
    if len(own) > 1:
        raise UsageError(
            f"{spelling(own[0])} and {spelling(own[1])} contradict each other on the model; keep one"
        )
    mark = node.get_closest_marker("arch")
    if mark is None:
        return None
    text = spelling(mark)
    bound = _bind(arch, mark, text)
    model, inputs = bound["model"], bound["inputs"]
    if not callable(model):
        raise UsageError(
            f"{text}: {model!r} is {type(model).__name__}; give an nn.Module, or a function that builds one"
        )
    if not isinstance(bound["train"], bool):
        raise UsageError(f"{text}: train is True or False, not {bound['train']!r}")
    if bound["kwargs"] is not None and not isinstance(bound["kwargs"], Mapping):
        raise UsageError(f"{text}: kwargs is a dict of the forward's keyword arguments")
    try:
        positional(inputs)
    except UsageError as error:
        raise UsageError(f"{text}: {error}") from None
    return ModelUnderTest(model, inputs, bound["kwargs"], bound["train"])


def _invariant(mark: pytest.Mark, text: str) -> Invariant:
    cls = INVARIANTS[mark.name]
    _bind(cls, mark, text)
    try:
        return cls(*mark.args, **mark.kwargs)
    except UsageError as error:
        raise UsageError(f"{text}: {error}") from None


def _bind(target: Any, mark: pytest.Mark, text: str) -> dict[str, Any]:
    signature = inspect.signature(target)
    try:
        bound = signature.bind(*mark.args, **mark.kwargs)
    except TypeError as error:
        plain = [p.replace(annotation=signature.empty) for p in signature.parameters.values()]
        usage = str(signature.replace(parameters=plain, return_annotation=signature.empty))
        raise UsageError(f"{text}: {error}; write @{mark.name}{usage}") from None
    bound.apply_defaults()
    return dict(bound.arguments)
