"""The gradients of a model's parameters, of a clone with copies of all tensors: the user's stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pytest_archcheck.behaviour import Gradients, ParameterGradient
from pytest_archcheck.errors import RecordingError, UsageError
from pytest_archcheck.recording.placements import Placement, with_values
from pytest_archcheck.recording.setup import Fresh, called, check_arguments, on_clone
from pytest_archcheck.recording.values import tensor_leaves


def gradients(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any,
    *,
    kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    train: bool = False,
) -> Gradients:
    """The gradient of every trainable parameter of a model, which stays as it is.

    What is differentiated is the sum of all floating outputs, each element times a random number. A parameter that is
    zero as initialised (the last scale of a residual branch) is given random values first: its zero is a value, and
    hides what lies before it.

    Args:
        model: a module, or a factory that builds one.
        inputs: as for ``trace``, as ``kwargs``.
        kwargs: keyword arguments of the forward.
        device: ``"auto"`` (CUDA where there is one, else cpu), ``"cpu"``, ``"cuda"``.
        train: in training mode instead of evaluation mode.

    Raises:
        UsageError: an argument makes no sense, or no output depends on a parameter.
        RecordingError: the model could not be built, cloned, run or differentiated.
    """
    check_arguments("gradients", model, kwargs, train)

    def run(fresh: Fresh, place: Placement, notes: list[str]) -> Gradients:
        found = once(fresh, place, notes)
        for seed in (1, 2) if train else ():  # what is dropped at random gets its gradient in another run
            if any(_is_faulty(gradient) for gradient in found.table):
                torch.manual_seed(seed)
                again = once(fresh, place, notes).table
                best = (b if _is_faulty(a) else a for a, b in zip(found.table, again, strict=True))
                found = replace(found, table=tuple(best))
        return found

    def once(fresh: Fresh, place: Placement, notes: list[str]) -> Gradients:
        clone, arguments = fresh()
        trained = {name: p for name, p in clone.named_parameters() if p.requires_grad and p.numel()}
        with torch.no_grad():
            for parameter in trained.values():
                if parameter.is_floating_point() and not parameter.any():
                    parameter.normal_(0, 0.02)
        ran: set[nn.Module] = set()
        for module in clone.modules():
            module.register_forward_hook(lambda m, args, out: ran.add(m))
        result = called(clone, arguments, place)
        total = sum(
            (real * torch.randn_like(real)).sum()
            for real in (torch.view_as_real(t) if t.is_complex() else t for _, t in tensor_leaves(result))
            if real.requires_grad and real.is_floating_point()
        )
        if not isinstance(total, torch.Tensor):
            raise UsageError(
                f"no output of {type(clone).__name__} depends on a trainable parameter: "
                "all are frozen, or it runs under no_grad; give a model that trains",
                see="behaviour",
            )
        try:
            found = torch.autograd.grad(total, list(trained.values()), allow_unused=True)
        except RuntimeError as error:
            raise RecordingError(
                f"the backward of {type(clone).__name__} failed on {place.name}: {type(error).__name__}: {error}; "
                "mend what torch names there",
                see="behaviour",
            ) from error
        owners = {
            id(p): module for module in clone.modules() for p in module._parameters.values() if p is not None
        }
        table = tuple(
            _gradient(name, parameter, gradient, owners.get(id(parameter)) in ran)
            for (name, parameter), gradient in zip(trained.items(), found, strict=True)
        )
        return Gradients(type(clone).__name__, table, place.name, tuple(notes))

    return on_clone(model, inputs, kwargs, with_values(device), train, run)


def _is_faulty(gradient: ParameterGradient) -> bool:
    return gradient.norm is None or gradient.zeros == 1.0 or not gradient.finite


def _gradient(
    name: str, parameter: nn.Parameter, gradient: torch.Tensor | None, was_called: bool
) -> ParameterGradient:
    shape = tuple(parameter.shape)
    if gradient is None:
        reason = "its result reaches no output" if was_called else "its module is never called"
        return ParameterGradient(name, shape, None, reason=reason)
    values = gradient.coalesce().values() if gradient.is_sparse else gradient
    zeros = 1 - int(values.count_nonzero()) / max(parameter.numel(), 1)
    return ParameterGradient(name, shape, float(values.norm()), zeros, bool(values.isfinite().all()))
