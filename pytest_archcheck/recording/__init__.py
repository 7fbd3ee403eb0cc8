"""Run a model and write down what it did. The only room that imports torch.

``trace`` is the entry: it finds a place to run (``placements``), makes a structural clone (``setup``, ``clone``) and
arguments (``inputs``), and lets the ``recorder`` watch one forward. ``count`` lets another counter watch it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import nn

from pytest_archcheck.errors import RecordingError
from pytest_archcheck.recording.build import build, name_of
from pytest_archcheck.recording.caches import caches_clean
from pytest_archcheck.recording.clone import Cloner
from pytest_archcheck.recording.counters import count, second_count
from pytest_archcheck.recording.failures import explain_failure
from pytest_archcheck.recording.inputs import Arguments
from pytest_archcheck.recording.placements import Placement, default_dtype, undisturbed
from pytest_archcheck.recording.recorder import Recorder, unrecorded
from pytest_archcheck.recording.setup import check_arguments, cloned, described, on_first_placement, set_up
from pytest_archcheck.recording.twins import ParameterGuard
from pytest_archcheck.recording.values import spec_of, tensor_leaves
from pytest_archcheck.records import LayerCall, Output
from pytest_archcheck.reports.progress import Progress
from pytest_archcheck.traces import Trace

__all__ = ["build", "count", "default_dtype", "second_count", "trace"]


def trace(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any,
    *,
    kwargs: Mapping[str, Any] | None = None,
    device: str = "auto",
    train: bool = False,
) -> Trace:
    """Record one forward of a model, which stays as it is.

    Args:
        model: a module, or a factory that builds one (built on meta where that works).
        inputs: a shape ``(1, 3, 224, 224)``, a tuple of positional arguments, or one argument; leaves are
            tensors, shapes or ``spec(…)``.
        kwargs: keyword arguments of the forward.
        device: ``"auto"`` (CUDA where there is one, else meta, else cpu, else fake for a model without
            values), ``"meta"``, ``"cpu"``, ``"cuda"``, ``"cuda:0"`` or ``"fake"``.
        train: record in training mode instead of evaluation mode.

    Raises:
        UsageError: an argument makes no sense.
        RecordingError: the model could not be built, cloned or run; the message has the trace so far.
    """
    check_arguments("trace", model, kwargs, train)
    with Progress(name_of(model)) as progress:
        asked = _Asked(inputs, kwargs, train, progress)
        return on_first_placement(
            model, device, lambda built, place, notes: _record(built, asked, place, notes)
        )


class _Asked(NamedTuple):
    """What is the same for every attempt at a recording."""

    inputs: Any
    kwargs: Mapping[str, Any] | None
    train: bool
    progress: Progress


def _record(
    model: nn.Module,
    asked: _Asked,
    place: Placement,
    notes: tuple[str, ...],
    grad: bool = False,
    share: bool = True,
) -> Trace:
    with unrecorded(), undisturbed(place, model), caches_clean(model), torch.set_grad_enabled(grad):
        outcome = _record_clone(model, asked, place, notes, share)
    if isinstance(outcome, Trace):
        return outcome
    cause = str(outcome.__cause__ if outcome else "")
    if outcome is None or (share and "already associated to a python object" in cause):
        # Copies: it writes to its parameters; or torch 2.4, where a guard and a tensor subclass do not go together.
        return _record(model, asked, place, notes, grad, share=False)
    if grad or "does not require grad" not in cause:
        raise outcome
    notes = (*notes, f"{place.name}: the forward needs gradients, recorded with autograd on")
    return _record(model, asked, place, notes, grad=True, share=share)


def _record_clone(
    model: nn.Module, asked: _Asked, place: Placement, notes: tuple[str, ...], share: bool
) -> Trace | RecordingError | None:
    """The trace, why there is none, or ``None`` where the forward was stopped before it wrote to a parameter.

    The clone is gone when this returns, and with it most of what the garbage collector would look at.
    """
    cloner = Cloner(place, share)
    clone = cloned(cloner, model)
    guard = ParameterGuard(cloner.shared)
    error: RecordingError | None = None
    try:
        with guard if cloner.shared else nullcontext():
            arguments = set_up(clone, cloner, asked.inputs, asked.kwargs, asked.train)
            recorder = Recorder(clone, place, cloner.found)
            asked.progress.calls = recorder.calls
            result = _run(recorder, arguments, place)
    except RecordingError as raised:
        error = raised
    if guard.tripped:
        return None
    return error or _trace_of(recorder, arguments, result, place, asked.train, (*notes, *cloner.notes))


def _run(recorder: Recorder, arguments: Arguments, place: Placement) -> Any:
    recorder.mark_inputs(arguments.leaves)
    try:
        with place.active(), recorder:
            return recorder.clone(*arguments.args, **arguments.kwargs)
    except Exception as error:
        failure = RecordingError(explain_failure(recorder, error, place.name), see="inputs")
        raise failure from error


def _trace_of(
    recorder: Recorder,
    arguments: Arguments,
    result: Any,
    place: Placement,
    train: bool,
    notes: tuple[str, ...],
) -> Trace:
    outputs = tuple(
        Output(spec_of(tensor).shape, spec_of(tensor).dtype, path, recorder.sources.of(tensor))
        for path, tensor in tensor_leaves(result)
    )
    if not outputs:
        name = type(recorder.clone).__name__
        raise RecordingError(
            f"{name} returned {described(result)}, in which there is no tensor\n"
            "  do: return the tensors, alone or in a tuple, list, dict or dataclass",
            see="inputs",
        )
    calls = tuple(call for call in recorder.calls if call is not None)
    if isinstance(calls[0], LayerCall) and calls[0].name == "." and not calls[0].atomic:
        calls = calls[1:]  # the call of the root itself: its inputs and outputs are the trace's
    return Trace(
        model=recorder.modules[0],
        training=train,
        inputs=arguments.specs,
        calls=calls,
        outputs=outputs,
        modules=recorder.modules,
        state=recorder.all_state,
        placement=place.name,
        notes=notes,
    )
