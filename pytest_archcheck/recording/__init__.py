"""Run a model and write down what it did. The only room that imports torch.

``trace`` is the entry: it finds a place to run (``placements``), makes a structural clone (``clone``) and
arguments (``inputs``), and lets the ``recorder`` watch one forward.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn

from pytest_archcheck.errors import RecordingError, UsageError
from pytest_archcheck.recording.build import Subject, build, is_model_or_factory
from pytest_archcheck.recording.caches import caches_clean
from pytest_archcheck.recording.clone import Cloner
from pytest_archcheck.recording.failures import explain_failure, in_short
from pytest_archcheck.recording.inputs import Arguments, make_arguments
from pytest_archcheck.recording.placements import Placement, placement, placements, undisturbed
from pytest_archcheck.recording.recorder import Recorder, unrecorded
from pytest_archcheck.recording.twins import NoValuesError, ParameterGuard
from pytest_archcheck.recording.values import spec_of, tensor_leaves
from pytest_archcheck.records import LayerCall, Output
from pytest_archcheck.traces import Trace

__all__ = ["build", "trace"]


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
    if not is_model_or_factory(model):
        raise UsageError(
            f"trace() was given {_described(model)}: give an nn.Module, or a function that builds one"
        )
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise UsageError(f"kwargs={kwargs!r}: give a dict of the forward's keyword arguments")
    if not isinstance(train, bool):
        raise UsageError(f"train={train!r}: give True or False")
    subject = Subject(model)
    notes: list[str] = []
    failure: RecordingError | None = None
    latest: RecordingError | None = None
    for name in placements(device):
        if name == "fake" and latest is not None and not isinstance(latest, NoValuesError):
            break  # the model has values, and failed with them
        place = placement(name)
        try:
            with unrecorded():
                built = subject.on(place)
            return _record(built, inputs, kwargs, place, train, tuple(notes))
        except RecordingError as error:
            notes.append(f"{name}: {in_short(error)}")
            failure = _more_telling(failure, error)
            latest = error
            if error.__cause__ is not None:  # a failed forward's activations
                traceback.clear_frames(error.__cause__.__traceback__)
    assert failure is not None
    if len(notes) > 1:
        story, separator, advice = str(failure).partition("\n  do:")
        failure.args = (f"{story}\n  tried:  {'; '.join(notes)}{separator}{advice}",)
    raise failure


def _record(
    model: nn.Module,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    place: Placement,
    train: bool,
    notes: tuple[str, ...],
    grad: bool = False,
    share: bool = True,
) -> Trace:
    with unrecorded(), undisturbed(place), caches_clean(model), torch.set_grad_enabled(grad):
        cloner = Cloner(place, share)
        clone = _cloned(cloner, model)
        guard = ParameterGuard(cloner.shared)
        error: RecordingError | None = None
        try:
            with guard if cloner.shared else nullcontext():
                _set_mode(clone, train, cloner)
                arguments = make_arguments(clone, inputs, kwargs, place)
                if cloner.is_lazy:  # one call gives its parameters their shapes
                    _give_shapes(clone, arguments, place)
                    arguments = make_arguments(clone, inputs, kwargs, place)
                recorder = Recorder(clone, place, cloner.found)
                result = _run(recorder, arguments, place)
        except RecordingError as raised:
            error = raised
        if error is None and not guard.tripped:
            return _trace_of(recorder, arguments, result, place, train, (*notes, *cloner.notes))
    cause = str(error.__cause__ if error else "")
    if guard.tripped or (share and "already associated to a python object" in cause):
        # Copies: it writes to its parameters; or torch 2.4, where a guard and a tensor subclass do not go together.
        return _record(model, inputs, kwargs, place, train, notes, grad, share=False)
    assert error is not None
    if grad or "does not require grad" not in cause:
        raise error
    notes = (*notes, f"{place.name}: the forward needs gradients, recorded with autograd on")
    return _record(model, inputs, kwargs, place, train, notes, grad=True, share=share)


def _cloned(cloner: Cloner, model: nn.Module) -> nn.Module:
    try:
        return cloner.clone(model)
    except RecordingError:
        raise
    except Exception as error:
        raise _not_set_up(model, error) from error


def _set_mode(clone: nn.Module, train: bool, cloner: Cloner) -> None:
    """Training or evaluation mode, as the model's own ``train()`` sets it."""
    for module in clone.modules():
        if isinstance(module, torch.fx.GraphModule) and "train" in module.__dict__:
            del module.__dict__["train"]  # of an exported program, which refuses
            cloner.notes.append("the mode is the one that the program was exported in")
    try:
        clone.train(train)
    except Exception as error:
        raise _not_set_up(clone, error) from error


def _not_set_up(model: nn.Module, error: Exception) -> RecordingError:
    return RecordingError(
        f"{type(model).__name__} cannot be set up for recording: {type(error).__name__}: {error}"
    )


def _give_shapes(clone: nn.Module, arguments: Arguments, place: Placement) -> None:
    """Call a lazy clone once, unrecorded: what it makes of its inputs' shapes is then its architecture."""
    try:
        with place.active(), torch.device(place.device):
            clone(*arguments.args, **arguments.kwargs)
    except Exception as error:
        raise RecordingError(
            f"{type(clone).__name__} has lazy modules, and the call that would give them their shapes failed on "
            f"{place.name}: {type(error).__name__}: {error}"
        ) from error
    for name, tensor in (*clone.named_parameters(), *clone.named_buffers()):
        if nn.parameter.is_lazy(tensor):
            raise RecordingError(
                f"{name} of {type(clone).__name__} has no shape: its lazy module is not called in the forward"
            )


def _run(recorder: Recorder, arguments: Arguments, place: Placement) -> Any:
    recorder.mark_inputs(arguments.leaves)
    try:
        with place.active(), recorder:
            return recorder.clone(*arguments.args, **arguments.kwargs)
    except Exception as error:
        failure = RecordingError(explain_failure(recorder, error, place.name))
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
        raise RecordingError(f"{name} returned {_described(result)}, in which there is no tensor")
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


def _more_telling(first: RecordingError | None, second: RecordingError) -> RecordingError:
    """The failure on a real device, unless the model could not be brought there at all."""
    if first is not None and second.__cause__ is None:
        return first
    return second


def _described(thing: Any) -> str:
    return f"{type(thing).__name__} {str(thing)[:60]!r}"
