"""The marks as typed decorators; what those of one test state is in ``statements``.

``@arch_depth(18, convention="paper")`` is ``pytest.mark.arch_depth(18, convention="paper")``. Only those that take a
model are more: written by hand, ``pytest.mark.arch_same_as(resnet18)`` would decorate, that is call, ``resnet18``; the
bare ones are ``pytest.mark.arch.with_args(resnet18, inputs=…)`` and ``pytest.mark.arch_same_as.with_args(resnet18)``.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from os import PathLike
from typing import Any, ParamSpec, TypeAlias, TypedDict, Unpack

import pytest

from pytest_archcheck.costs.quantities import Stated
from pytest_archcheck.errors import noted
from pytest_archcheck.invariants.shapes import Dim, Shape

_P = ParamSpec("_P")


def usage(function: Callable[..., Any]) -> str:
    """How a function is called: ``(n, *, convention)``."""
    signature = inspect.signature(function)
    plain = [p.replace(annotation=signature.empty) for p in signature.parameters.values()]
    return str(signature.replace(parameters=plain, return_annotation=signature.empty))


def _stated(mark: Callable[_P, pytest.MarkDecorator]) -> Callable[_P, pytest.MarkDecorator]:
    """The mark; where it cannot be called so, it says how it is written."""

    @wraps(mark)
    def stated(*args: _P.args, **kwargs: _P.kwargs) -> pytest.MarkDecorator:
        try:
            inspect.signature(mark).bind(*args, **kwargs)
        except TypeError as error:
            name = mark.__name__
            raise noted(TypeError(f"@{name}: {error}; write @{name}{usage(mark)}"), name) from None
        return mark(*args, **kwargs)

    return stated


@_stated
def arch(
    model: Any, *, inputs: Any, kwargs: Mapping[str, Any] | None = None, train: bool = False
) -> pytest.MarkDecorator:
    """The model under test: a module or a factory, and what it is called with; see ``trace``."""
    return pytest.mark.arch.with_args(model, inputs=inputs, kwargs=kwargs, train=train)


@_stated
def arch_depth(n: int, *, convention: str) -> pytest.MarkDecorator:
    """The model is ``n`` layers deep under a convention; see ``graph.conventions``."""
    return pytest.mark.arch_depth(n, convention=convention)


@_stated
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


@_stated
def arch_params(
    total: Numbers = None, *, trainable: Stated | None = None, **limits: Unpack[Limits]
) -> pytest.MarkDecorator:
    """Parameters in total or by module, trainable ones, or limits; tied ones count once."""
    return pytest.mark.arch_params(total, trainable=trainable, **limits)


@_stated
def arch_macs(
    total: Numbers = None, *, counter: str | None = None, **limits: Unpack[Limits]
) -> pytest.MarkDecorator:
    """Multiply-accumulates of one forward, in total or by module: ``arch_macs({"backbone": "≤ 3.6G"})``.

    A string like ``"1.81G"`` is ± half its last digit; ``counter`` is the way of counting, see ``costs.counters``.
    """
    return pytest.mark.arch_macs(total, counter=counter, **limits)


@_stated
def arch_flops(
    total: Numbers = None, *, counter: str | None = None, **limits: Unpack[Limits]
) -> pytest.MarkDecorator:
    """Floating-point operations of one forward: 2 × MACs."""
    return pytest.mark.arch_flops(total, counter=counter, **limits)


@_stated
def arch_size(mib: Numbers = None, **limits: Unpack[Limits]) -> pytest.MarkDecorator:
    """Size of the saved state in MiB, in total or by module; without a tolerance within 0.5 %."""
    return pytest.mark.arch_size(mib, **limits)


@_stated
def arch_activations(mib: Stated | None = None, **limits: Unpack[Limits]) -> pytest.MarkDecorator:
    """The estimated peak of a forward's activations in MiB; see ``costs.activations``."""
    return pytest.mark.arch_activations(mib, **limits)


@_stated
def arch_output(*shape: Dim, path: str | None = None) -> pytest.MarkDecorator:
    """Shape of the main output, batch included, or of the output at ``path``."""
    return pytest.mark.arch_output(*shape, path=path)


@_stated
def arch_shapes(shapes: Mapping[str, Shape], /) -> pytest.MarkDecorator:
    """Output shapes of layers by name pattern: ``*`` stays between dots, ``**`` crosses them."""
    return pytest.mark.arch_shapes.with_args(shapes)


@_stated
def arch_stages(pattern: Sequence[int], /) -> pytest.MarkDecorator:
    """Number of repeated blocks in each stage: ``arch_stages((3, 4, 6, 3))``; see ``graph.blocks``."""
    return pytest.mark.arch_stages(pattern)


@_stated
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


@_stated
def arch_receptive_field(
    size: int | tuple[int, ...], *, stride: float | tuple[float, ...] | None = None, at: str | None = None
) -> pytest.MarkDecorator:
    """Input positions that one position of the last feature map sees, or one of the layer ``at``."""
    return pytest.mark.arch_receptive_field(size, stride=stride, at=at)


@_stated
def arch_same_as(reference: Any, /) -> pytest.MarkDecorator:
    """The architecture of a model, factory, ``Trace`` or ``.arch`` file, up to names; see ``matching.compare``."""
    return pytest.mark.arch_same_as.with_args(reference)


@_stated
def arch_frozen(*patterns: str) -> pytest.MarkDecorator:
    """The parameters that patterns match need no gradient, and all others do: ``arch_frozen("backbone.**")``."""
    return pytest.mark.arch_frozen(*patterns)


@_stated
def arch_tied(*names: str) -> pytest.MarkDecorator:
    """These names are one tensor: ``arch_tied("lm_head.weight", "model.embed_tokens.weight")``."""
    return pytest.mark.arch_tied(*names)


@_stated
def arch_no_unused(*, allow: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Every trainable parameter is used for an output, by the data flow alone; ``allow`` names exceptions."""
    return pytest.mark.arch_no_unused(allow=allow)


@_stated
def arch_checkpoint(
    reference: str | PathLike[str] | Mapping[str, Any] | Sequence[str], /
) -> pytest.MarkDecorator:
    """The model takes every tensor of a checkpoint, by name and shape: ``arch_checkpoint("reference.safetensors")``."""
    return pytest.mark.arch_checkpoint(reference)


@_stated
def arch_shapes_for(inputs: str, output: str, /, **sizes: int | Sequence[int]) -> pytest.MarkDecorator:
    """The shape contract holds for other sizes: ``arch_shapes_for("B 3 H W", "B 1000", B=(1, 3), H=224, W=224)``."""
    return pytest.mark.arch_shapes_for(inputs, output, **sizes)


@_stated
def arch_mode_parity() -> pytest.MarkDecorator:
    """Training and evaluation mode run the same layers, but for dropout, norms and auxiliary heads."""
    return pytest.mark.arch_mode_parity()


@_stated
def arch_dtype(dtype: str, *, autocast: bool = False, allow: Sequence[str] = ()) -> pytest.MarkDecorator:
    """No layer gives another floating dtype, and nothing float64: ``arch_dtype("bfloat16")``."""
    return pytest.mark.arch_dtype(dtype, autocast=autocast, allow=allow)


@_stated
def arch_initialised(*, allow: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Every parameter is initialised, no matrix is constant, and every tensor is a parameter or a buffer."""
    return pytest.mark.arch_initialised(allow=allow)


@_stated
def arch_exportable(*, export: bool = True, compile: bool = True) -> pytest.MarkDecorator:
    """``torch.export`` and ``torch.compile(fullgraph=True)`` take the architecture."""
    return pytest.mark.arch_exportable(export=export, compile=compile)


@_stated
def arch_gradients(*, allow: Sequence[str] = ()) -> pytest.MarkDecorator:
    """Every trainable parameter gets a finite gradient that is not zero, but for those that ``allow`` names."""
    return pytest.mark.arch_gradients(allow=allow)


@_stated
def arch_batch_independent(*, dim: int = 0) -> pytest.MarkDecorator:
    """No output row depends on another input row; ``dim`` is the axis of the batch."""
    return pytest.mark.arch_batch_independent(dim=dim)


@_stated
def arch_causal(*, dim: int = 1) -> pytest.MarkDecorator:
    """No output depends on a later position of the inputs; ``dim`` is the axis of time."""
    return pytest.mark.arch_causal(dim=dim)


@_stated
def arch_deterministic() -> pytest.MarkDecorator:
    """The outputs do not depend on the random state."""
    return pytest.mark.arch_deterministic()
