"""Run a model and write down what it did. The only room that imports torch.

``trace`` is the entry: it finds a place to run (``placements``), makes a structural clone (``clone``) and
arguments (``inputs``), and lets the ``recorder`` watch one forward.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from pytest_archcheck.errors import RecordingError, UsageError
from pytest_archcheck.recording.build import build, build_on_meta, is_model_or_factory
from pytest_archcheck.recording.clone import Cloner
from pytest_archcheck.recording.failures import explain_failure
from pytest_archcheck.recording.inputs import make_arguments
from pytest_archcheck.recording.placements import ladder, undisturbed
from pytest_archcheck.recording.recorder import Recorder
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
        device: ``"auto"`` (CUDA where there is one, else meta, else cpu), ``"meta"``, ``"cpu"``,
            ``"cuda"`` or ``"cuda:0"``.
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
    notes: list[str] = []
    built: nn.Module | None = model if isinstance(model, nn.Module) else None
    failure: RecordingError | None = None
    for rung in ladder(device):
        subject = build_on_meta(model) if rung == "meta" and built is None else None
        if subject is None:
            subject = built = build(model) if built is None else built
        try:
            return _record(subject, inputs, kwargs, rung, train, tuple(notes))
        except RecordingError as error:
            notes.append(f"{rung}: {str(error).splitlines()[0]}")
            failure = _more_telling(failure, error)
    assert failure is not None
    if len(notes) > 1:
        story, separator, advice = str(failure).partition("\n  do:")
        failure.args = (f"{story}\n  tried:  {'; '.join(notes)}{separator}{advice}",)
    raise failure


def _record(
    model: nn.Module,
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    device: str,
    train: bool,
    notes: tuple[str, ...],
) -> Trace:
    with undisturbed(device):
        cloner = Cloner(device)
        try:
            clone = cloner.module(model)
            clone.train(train)
        except RecordingError:
            raise
        except Exception as error:
            raise RecordingError(
                f"{type(model).__name__} cannot be set up for recording: {type(error).__name__}: {error}"
            ) from error
        arguments = make_arguments(clone, inputs, kwargs, device)
        recorder = Recorder(clone, device, kept={id(tensor) for tensor in cloner.tensors})
        recorder.mark_inputs(arguments.leaves)
        specs = arguments.specs
        try:
            with recorder:
                result = clone(*arguments.args, **arguments.kwargs)
        except Exception as error:
            failure = RecordingError(explain_failure(recorder, error, device))
            raise failure from error
        outputs = tuple(
            Output(tuple(tensor.shape), spec_of(tensor).dtype, path, recorder.sources.of(tensor))
            for path, tensor in tensor_leaves(result)
        )
    if not outputs:
        raise RecordingError(
            f"{type(model).__name__} returned {_described(result)}, in which there is no tensor"
        )
    calls = tuple(call for call in recorder.calls if call is not None)
    root = recorder.modules[0]
    if isinstance(calls[0], LayerCall) and not calls[0].atomic:
        calls = calls[1:]  # the call of the root itself: its inputs and outputs are the trace's
    return Trace(
        model=root,
        training=train,
        inputs=specs,
        calls=calls,
        outputs=outputs,
        modules=recorder.modules,
        state=recorder.all_state,
        placement=device,
        notes=notes,
    )


def _more_telling(first: RecordingError | None, second: RecordingError) -> RecordingError:
    """The failure on a real device, unless the model could not be brought there at all."""
    if first is not None and second.__cause__ is None:
        return first
    return second


def _described(thing: Any) -> str:
    return f"{type(thing).__name__} {str(thing)[:60]!r}"
