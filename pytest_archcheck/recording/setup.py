"""A clone of a model, in its mode and with its arguments, ready to be called where it is to be run."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import torch
from torch import nn

from pytest_archcheck.errors import RecordingError, UsageError
from pytest_archcheck.recording.build import Subject, is_model_or_factory
from pytest_archcheck.recording.caches import caches_clean
from pytest_archcheck.recording.classes import per_class
from pytest_archcheck.recording.clone import Cloner
from pytest_archcheck.recording.failures import in_short, place_in_project, tried
from pytest_archcheck.recording.inputs import Arguments, make_arguments
from pytest_archcheck.recording.placements import Placement, placement, placements, undisturbed
from pytest_archcheck.recording.recorder import unrecorded
from pytest_archcheck.recording.tree import distinct_modules
from pytest_archcheck.recording.twins import NoValuesError

_T = TypeVar("_T")
Fresh = Callable[[], tuple[nn.Module, Arguments]]
"""Makes a clone with its arguments."""
_MODE = frozenset(("train", "children", "named_children", "__setattr__"))
"""What sets a module's mode and its children's."""


def check_arguments(caller: str, model: Any, kwargs: Any, train: Any) -> None:
    """Refuse what is no model, no keyword arguments or no mode.

    Raises:
        UsageError: one of them makes no sense.
    """
    if not is_model_or_factory(model):
        raise UsageError(
            f"{caller}() was given {described(model)}: give an nn.Module, or a function that builds one",
            see="inputs",
        )
    if kwargs is not None and not isinstance(kwargs, Mapping):
        raise UsageError(f"kwargs={kwargs!r}: give a dict of the forward's keyword arguments", see="inputs")
    if not isinstance(train, bool):
        raise UsageError(f"train={train!r}: give True or False", see="inputs")


def on_first_placement(
    model: nn.Module | Callable[[], nn.Module],
    device: str,
    attempt: Callable[[nn.Module, Placement, tuple[str, ...]], _T],
) -> _T:
    """What an attempt gives on the first placement of the ladder where it does not fail.

    Args:
        model: a module, or a factory that builds one.
        device: the name of a placement, or ``"auto"``.
        attempt: is given the built model, the placement, and why those before it failed.

    Raises:
        RecordingError: it failed on all of them; the message is that of the most telling failure.
    """
    subject = Subject(model)
    notes: list[str] = []
    failures: dict[str, RecordingError] = {}
    failure: RecordingError | None = None
    latest: RecordingError | None = None
    for name in placements(device):
        if name == "fake" and latest is not None and not isinstance(latest, NoValuesError):
            break  # the model has values, and failed with them
        place = placement(name)
        try:
            with unrecorded():
                built = subject.on(place)
            return attempt(built, place, tuple(notes))
        except RecordingError as error:
            notes.append(f"{name}: {in_short(error)}")
            failures[name] = error
            failure = _more_telling(failure, error)
            latest = error
            if error.__cause__ is not None:  # a failed forward's activations
                traceback.clear_frames(error.__cause__.__traceback__)
    assert failure is not None
    others = tried(failures, failure)
    if others:
        story, separator, advice = str(failure).partition("\n  do:")
        failure.args = (f"{story}\n{others}{separator}{advice}",)
    raise failure


def called(clone: nn.Module, arguments: Arguments, place: Placement) -> Any:
    """What a clone returns.

    Raises:
        RecordingError: it failed.
    """
    try:
        return clone(*arguments.args, **arguments.kwargs)
    except Exception as error:
        raise RecordingError(
            f"{type(clone).__name__} failed on {place.name}: {type(error).__name__}: {error}\n"
            "  do: see whether trace() records it there, which names the layer that fails",
            see="inputs",
        ) from error


def on_clone(
    model: nn.Module | Callable[[], nn.Module],
    inputs: Any,
    kwargs: Mapping[str, Any] | None,
    device: str,
    train: bool,
    run: Callable[[Fresh, Placement, list[str]], _T],
    grad: bool = True,
    compiler: bool = False,
) -> _T:
    """What ``run`` gives on the first placement where it does not fail, with copies of all that the model holds.

    Args:
        model: a module, or a factory that builds one.
        inputs: as for ``trace``, as ``kwargs`` and ``train``.
        kwargs: keyword arguments of the forward.
        device: the name of a placement, or ``"auto"``.
        train: the mode of the clones.
        run: is given what makes a clone with its arguments, a new one for each call; the placement, and notes on
            both, which grow with every clone.
        grad: whether autograd is on.
        compiler: whether functions under ``torch.compile`` are compiled.

    Raises:
        RecordingError: it failed on all placements.
    """

    def attempt(built: nn.Module, place: Placement, notes: tuple[str, ...]) -> _T:
        noted = list(notes)

        def fresh() -> tuple[nn.Module, Arguments]:
            cloner = Cloner(place, share=False)
            clone = cloned(cloner, built)
            arguments = set_up(clone, cloner, inputs, kwargs, train)
            noted.extend(note for note in cloner.notes if note not in noted)
            return clone, arguments

        with (
            unrecorded(),
            undisturbed(place, built, compiler),
            caches_clean(built),
            torch.set_grad_enabled(grad),
        ):
            return run(fresh, place, noted)

    return on_first_placement(model, device, attempt)


def cloned(cloner: Cloner, model: nn.Module) -> nn.Module:
    """The clone of a model.

    Raises:
        RecordingError: it cannot be cloned.
    """
    try:
        return cloner.clone(model)
    except RecordingError:
        raise
    except Exception as error:
        raise _not_set_up(model, error) from error


def set_up(
    clone: nn.Module, cloner: Cloner, inputs: Any, kwargs: Mapping[str, Any] | None, train: bool
) -> Arguments:
    """Bring a clone into its mode and make what it is called with.

    Raises:
        RecordingError: its mode cannot be set, or its inputs cannot be made.
    """
    place = cloner.place
    _set_mode(clone, train, cloner)
    arguments = make_arguments(clone, inputs, kwargs, place)
    if cloner.is_lazy:  # one call gives its parameters their shapes
        _give_shapes(clone, arguments, place)
        arguments = make_arguments(clone, inputs, kwargs, place)
    return arguments


def _set_mode(clone: nn.Module, train: bool, cloner: Cloner) -> None:
    """Training or evaluation mode, as the model's own ``train()`` sets it."""
    modules = distinct_modules(clone)
    for module in modules:
        if "train" in module.__dict__ and isinstance(module, torch.fx.GraphModule):
            del module.__dict__["train"]  # of an exported program, which refuses
            cloner.notes.append("the mode is the one that the program was exported in")
    try:
        if any(_has_own_mode(type(m)) or not _MODE.isdisjoint(m.__dict__) for m in modules):
            clone.train(train)
        else:
            for module in modules:
                module.__dict__["training"] = train
    except Exception as error:
        raise _not_set_up(clone, error) from error


@per_class
def _has_own_mode(cls: type[Any]) -> bool:
    """Whether a class says itself what its mode is, or which its children are."""
    return hasattr(cls, "training") or any(
        getattr(cls, name) is not getattr(nn.Module, name) for name in _MODE
    )


def _not_set_up(model: nn.Module, error: Exception) -> RecordingError:
    return RecordingError(
        f"{type(model).__name__} cannot be set up for recording: {type(error).__name__}: {error}"
        f"{place_in_project(error)}\n  do: mend it, so that a copy of the model can be made and train() called",
        see="inputs",
    )


def _give_shapes(clone: nn.Module, arguments: Arguments, place: Placement) -> None:
    """Call a lazy clone once, unrecorded: what it makes of its inputs' shapes is then its architecture."""
    try:
        with place.active(), torch.device(place.device):
            clone(*arguments.args, **arguments.kwargs)
    except Exception as error:
        raise RecordingError(
            f"{type(clone).__name__} has lazy modules, and the call that would give them their shapes failed on "
            f"{place.name}\n  torch:  {type(error).__name__}: {error}{place_in_project(error)}\n"
            "  do: check what the model is called with, or mend its forward",
            see="inputs",
        ) from error
    for name, tensor in (*clone.named_parameters(), *clone.named_buffers()):
        if nn.parameter.is_lazy(tensor):
            raise RecordingError(
                f"{name} of {type(clone).__name__} has no shape: its lazy module is not called in the forward\n"
                "  do: call it there, or take it out",
                see="inputs",
            )


def _more_telling(first: RecordingError | None, second: RecordingError) -> RecordingError:
    """The failure on a real device, unless the model could not be brought there at all."""
    if first is not None and second.__cause__ is None:
        return first
    return second


def described(thing: Any) -> str:
    """A thing's class and the beginning of its text, for error messages."""
    if thing is None:
        return "None"
    return f"{type(thing).__name__} {str(thing)[:60]!r}"
