"""Build or run a model otherwise: in another dtype, with uninitialised memory marked, through export and compile."""

from __future__ import annotations

import io
import logging
import sys
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from typing import Any

import torch
from torch import nn

from pytest_archcheck.behaviour import Refusal
from pytest_archcheck.errors import UsageError
from pytest_archcheck.inputs import Spec, is_shape
from pytest_archcheck.recording.build import build
from pytest_archcheck.recording.clone import Cloner
from pytest_archcheck.recording.inputs import Arguments
from pytest_archcheck.recording.placements import Placement, placement, with_values
from pytest_archcheck.recording.setup import Fresh, called, on_clone
from pytest_archcheck.traces import Trace


def record_as(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any,
    *,
    dtype: str,
    autocast: bool,
    kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    train: bool = False,
) -> Trace:
    """The trace of a model whose parameters and inputs are of another floating dtype, or that runs under an autocast.

    An autocast works on cpu and CUDA only, so that it is recorded there.

    Raises:
        UsageError: there is no such floating dtype.
        RecordingError: the model could not be built, cast, cloned or run.
    """
    from pytest_archcheck.recording import trace

    wanted = getattr(torch, dtype, None)
    if not isinstance(wanted, torch.dtype) or not wanted.is_floating_point:
        raise UsageError(f'{dtype!r} is no floating dtype; write one like "bfloat16"', see="arch_dtype")
    if autocast:
        place = with_values(device)
        with torch.autocast("cuda" if place.startswith("cuda") else "cpu", wanted):
            return trace(model, inputs, kwargs=kwargs, device=place, train=train)

    def cast() -> nn.Module:
        built = build(model)  # may be one that the factory keeps
        place = "meta" if any(p.is_meta for p in built.parameters()) else "cpu"
        return Cloner(placement(place), share=False).clone(built).to(wanted)

    def given(item: Any) -> Any:
        if isinstance(item, torch.Tensor) and item.is_floating_point():
            return item.to(wanted)
        if isinstance(item, Spec) and (item.dtype or "").startswith(("float", "bfloat")):
            return replace(item, dtype=dtype)
        if is_shape(item):
            return item
        if isinstance(item, Mapping):
            return {key: given(part) for key, part in item.items()}
        if type(item) in (tuple, list):
            return type(item)(map(given, item))
        return item

    return trace(
        cast, given(inputs), kwargs=None if kwargs is None else given(kwargs), device=device, train=train
    )


def initial_faults(model: nn.Module | Callable[[], nn.Module]) -> dict[str, str]:
    """What is wrong with the values that a model's parameters begin with, by name.

    A factory is built with torch's uninitialised memory filled with NaN, so that what nothing initialises is seen. A
    matrix or kernel whose elements are all the same number learns nothing that tells them apart; zero is left alone,
    with which tokens, positions and last layers begin on purpose.

    Raises:
        RecordingError: the model could not be built.
    """
    with _uninitialised_is_nan():
        built = build(model)
    found = {name: "nothing initialises it" for name, b in built.named_buffers() if _has_nan(b)}
    owners = {id(p): type(m).__name__ for m in built.modules() for p in m._parameters.values()}
    for name, parameter in built.named_parameters():
        values = parameter.detach()
        if values.is_meta or not values.is_floating_point():
            continue
        if not values.isfinite().all():
            found[name] = "nothing initialises it" if values.isnan().any() else "it begins with infinity"
        elif _is_constant(values) and "Norm" not in owners.get(id(parameter), ""):
            found[name] = f"all of its elements begin with {float(values.flatten()[0]):g}"
    return found


def _has_nan(tensor: torch.Tensor) -> bool:
    return not tensor.is_meta and tensor.is_floating_point() and bool(tensor.isnan().any())


def _is_constant(values: torch.Tensor) -> bool:
    """Whether all elements of a matrix or kernel are one number that is not zero."""
    is_matrix = sum(size > 1 for size in values.shape) > 1
    return is_matrix and bool(values.any()) and bool((values == values.flatten()[0]).all())


@contextmanager
def _uninitialised_is_nan() -> Iterator[None]:
    settings: Any = torch.utils.deterministic
    filled, was_on = settings.fill_uninitialized_memory, torch.are_deterministic_algorithms_enabled()
    only_warned = torch.is_deterministic_algorithms_warn_only_enabled()
    inductor: Any = sys.modules.get("torch._inductor.config")  # which follows the switch
    followed = getattr(inductor, "deterministic", None)
    torch.use_deterministic_algorithms(True, warn_only=True)
    settings.fill_uninitialized_memory = True
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(was_on, warn_only=only_warned)
        settings.fill_uninitialized_memory = filled
        if followed is not None:
            inductor.deterministic = followed


def refusals(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any,
    *,
    by: str,
    kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    train: bool = False,
) -> tuple[Refusal, ...]:
    """Why ``torch.export`` or ``torch.compile(fullgraph=True)`` does not take a model; empty where it does.

    Nothing is compiled to machine code: of ``"compile"`` it is the capturing of one graph that is tried, and every
    place where the graph breaks is told; ``"export"`` ends at the first.

    Raises:
        RecordingError: the model could not be built, cloned or run.
    """

    def run(fresh: Fresh, place: Placement, notes: list[str]) -> tuple[Refusal, ...]:
        clone, arguments = fresh()
        called(clone, arguments, place)  # what fails anyhow is no refusal
        clone, arguments = fresh()
        with warnings.catch_warnings(), _quiet():
            warnings.simplefilter("ignore")
            return _REFUSALS[by](clone, arguments)

    return on_clone(model, inputs, kwargs, with_values(device), train, run, grad=False, compiler=True)


def _not_exported(clone: nn.Module, arguments: Arguments) -> tuple[Refusal, ...]:
    try:
        torch.export.export(clone, arguments.args, dict(arguments.kwargs))
    except Exception as error:
        return (Refusal(_layer_in(clone, error), _first_line(error)),)
    return ()


def _not_compiled(clone: nn.Module, arguments: Arguments) -> tuple[Refusal, ...]:
    import torch._dynamo

    torch._dynamo.reset()
    try:
        explained = torch._dynamo.explain(clone)(*arguments.args, **arguments.kwargs)
    except Exception as error:
        return (Refusal(_layer_in(clone, error), _first_line(error)),)
    finally:
        torch._dynamo.reset()
    told: dict[str, Refusal] = {}  # a branch is told twice, by what it is and by the instruction
    for reason in explained.break_reasons:
        layer = _layer_at(clone, reason.user_stack)
        told.setdefault(layer, Refusal(layer, _first_line(reason.reason)))
    return tuple(told.values())


_REFUSALS = {"export": _not_exported, "compile": _not_compiled}


def _layer_in(clone: nn.Module, error: BaseException) -> str:
    """The layer whose forward an error came from, by its traceback or by what torch kept of the user's stack."""
    stack = getattr(error, "real_stack", None)
    frames = stack if stack else traceback.extract_tb(error.__traceback__)
    return _layer_at(clone, frames)


def _layer_at(clone: nn.Module, frames: Any) -> str:
    """The innermost layer in whose class's forward a frame lies; where several layers are of the class, the class."""
    for frame in reversed(list(frames)):
        for name, module in clone.named_modules():
            code = getattr(type(module).forward, "__code__", None)
            if code is None or code.co_filename != frame.filename or frame.lineno is None:
                continue
            last = max((line for _, _, line in code.co_lines() if line is not None), default=0)
            if code.co_firstlineno <= frame.lineno <= last:
                alike = [n for n, m in clone.named_modules() if type(m) is type(module)]
                return (name or ".") if len(alike) == 1 else f"{alike[0] or '.'} … {alike[-1]}"
    return ""


def _first_line(said: object) -> str:
    lines = [line.strip() for line in str(said).splitlines() if line.strip()]
    return lines[0] if lines else type(said).__name__


@contextmanager
def _quiet() -> Iterator[None]:
    """Without torch's own reports of what it could not capture, and what the model prints."""
    logger, traced = logging.getLogger("torch"), logging.getLogger("torch.__trace")  # with a level of its own
    level, was_off = logger.level, traced.disabled
    logger.setLevel(logging.CRITICAL)
    traced.disabled = True
    said = io.StringIO()
    try:
        with redirect_stdout(said), redirect_stderr(said):
            yield
    finally:
        logger.setLevel(level)
        traced.disabled = was_off
