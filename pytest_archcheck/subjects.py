"""A model named on a command line: an ``.arch`` file, or something to be imported and recorded."""

from __future__ import annotations

import importlib
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from pytest_archcheck.drift.reader import Known, read
from pytest_archcheck.errors import FormatError, UsageError
from pytest_archcheck.inputs import Spec, spec
from pytest_archcheck.names import nearest
from pytest_archcheck.records import StateTensor
from pytest_archcheck.traces import Trace

_INPUT = re.compile(
    r"(?:(?P<name>[A-Za-z_]\w*)=)?(?P<shape>\d+(?:x\d+)*)(?::(?P<dtype>\w+)(?::(?P<high>\d+))?)?"
)
_FORMS = (
    "module:callable, as in torchvision.models:resnet18, path/file.py:callable, or a file that ends in .arch"
)

_WRITE = "archcheck show MODEL --input SHAPE --arch >"


def is_file(subject: str) -> bool:
    """Whether a subject is a recorded text, which needs no torch."""
    return subject.endswith(".arch") or is_absent(subject)


def is_absent(subject: str) -> bool:
    """Whether a subject stands for no file at all, as git says it of a file that came or went."""
    return subject == os.devnull


def read_file(path: str, known: Known | None = None) -> Trace:
    """The trace in an ``.arch`` file; ``known`` are lines of another file, see ``drift.reader``.

    Raises:
        UsageError: there is no such file, or it is no text.
        FormatError: the file is not valid; the message names it and the line.
    """
    try:
        return read(Path(path).read_text("utf-8"), known)
    except OSError as error:
        raise UsageError(
            f"{path}: {error.strerror or error}; to write one: {_WRITE} {path}", see="commands"
        ) from None
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{path}: byte {error.start} is not UTF-8; is it an .arch file? To write one: {_WRITE} {path}",
            see="commands",
        ) from None
    except FormatError as error:
        hint = "" if "; " in str(error) else f"; restore it, or record it anew: {_WRITE} {path}"
        raise FormatError(f"{path}: {error}{hint}", see=error.see) from None


def load(subject: str, inputs: Sequence[str], *, device: str = "auto", train: bool = False) -> Trace:
    """The trace of a subject: read from its file, or recorded with inputs like ``1x3x224x224``.

    Raises:
        UsageError: the subject or an input cannot be read, or there are no inputs to record with.
        RecordingError: the model could not be built or run.
        FormatError: the ``.arch`` file is not valid.
    """
    if is_file(subject):
        if inputs:
            raise UsageError(
                f"--input goes with a model to be recorded, and {subject} is a recorded one; leave it out",
                see="commands",
            )
        return read_file(subject)
    subject = check_form(subject)
    arguments, kwargs = parse_inputs(inputs)
    if not inputs:
        raise UsageError(
            f"{subject} has to be called with something; say with what: --input 1x3x224x224", see="inputs"
        )
    # what the model prints is not what was asked for
    with _import_path(subject), redirect_stdout(sys.stderr):
        try:
            model = named(subject)
            from pytest_archcheck.recording import trace

            return trace(model, arguments, kwargs=kwargs, device=device, train=train)
        except SystemExit as error:
            raise UsageError(
                f"{subject}: sys.exit({error.code!r}) was called while it was imported or run; "
                'let the file do so below if __name__ == "__main__"',
                see="commands",
            ) from None


def state_of(subject: str) -> tuple[StateTensor, ...]:
    """The tensors that a subject saves; a model is built for it and not run.

    Raises:
        UsageError: the subject cannot be read.
        RecordingError: the model could not be built.
        FormatError: the ``.arch`` file is not valid.
    """
    if is_file(subject):
        return read_file(subject).state
    subject = check_form(subject)
    with _import_path(subject), redirect_stdout(sys.stderr):
        model = named(subject)
        from pytest_archcheck.recording.build import saved_state

        return saved_state(model)


def parse_inputs(texts: Sequence[str], option: str = "--input") -> tuple[tuple[Spec, ...], dict[str, Spec]]:
    """Positional and keyword inputs from ``1x3x224x224`` and ``input_ids=1x128:int64:30522``.

    Raises:
        UsageError: a text is no input, or a name stands twice.
    """
    positional: list[Spec] = []
    named: dict[str, Spec] = {}
    for text in texts:
        match = _INPUT.fullmatch(text)
        if match is None:
            raise UsageError(
                f"{option} {text}: expected a shape like 1x3x224x224, with a dtype 1x128:int64, with numbers below "
                "a limit 1x128:int64:30522, and by name input_ids=1x128:int64",
                see="inputs",
            )
        high = None if match["high"] is None else int(match["high"])
        if high == 0:
            raise UsageError(f"{option} {text}: no number is below 0; give a higher limit", see="inputs")
        value = spec(*map(int, match["shape"].split("x")), dtype=match["dtype"], high=high)
        if match["name"] is None:
            positional.append(value)
        elif match["name"] in named:
            raise UsageError(f"{option} {text}: {match['name']} is given twice; keep one", see="inputs")
        else:
            named[match["name"]] = value
    return tuple(positional), named


@contextmanager
def _import_path(subject: str) -> Iterator[None]:
    """The folder of the file, or the present one, first on the import path, and nothing kept of what came from there.

    Two trees of one project hold modules of the same names.
    """
    known = set(sys.modules)
    where = str(Path(subject.rpartition(":")[0]).resolve().parent) if ".py:" in subject else str(Path.cwd())
    sys.path.insert(0, where)
    try:
        yield
    finally:
        sys.path.remove(where)
        for name in set(sys.modules) - known:
            file = getattr(sys.modules[name], "__file__", None)
            if file and Path(file).is_relative_to(where) and "site-packages" not in file:
                del sys.modules[name]


def check_form(subject: str) -> str:
    """The subject as we write it, ``module:callable``.

    Raises:
        UsageError: it is not of that form.
    """
    subject = subject.replace("::", ":")
    source, colon, path = subject.rpartition(":")
    if not (colon and source and path):
        dotted, _, last = subject.rpartition(".")
        is_path = "/" in subject or last.lower() in ("py", "arch") or colon
        hint = f"; did you mean {dotted}:{last}?" if dotted and not is_path else ""
        raise UsageError(f"{subject!r} is no model: write {_FORMS}{hint}", see="commands")
    return subject


def named(subject: str) -> Any:
    """The model, or what builds it.

    Raises:
        UsageError: it cannot be imported, or is not there.
    """
    source, _, path = subject.rpartition(":")
    try:
        found: Any = _import_file(Path(source)) if source.endswith(".py") else importlib.import_module(source)
    except Exception as error:
        dotted = source.removesuffix(".py").replace("/", ".")
        hint = "; mend that first"
        if "relative import" in str(error):
            hint = f"; write it as {dotted}:{path}"
        elif source.endswith(".py") and not Path(source).is_file():
            hint = "; name a file as seen from this folder"
        elif isinstance(error, ModuleNotFoundError) and error.name == source.partition(".")[0]:
            hint = f"; install it, or name its file, as in path/file.py:{path}"
        raise UsageError(
            f"{subject}: {source} cannot be imported: {type(error).__name__}: {error}{hint}", see="commands"
        ) from error
    for name in path.split("."):
        if not hasattr(found, name):
            near = nearest(name, [other for other in dir(found) if not other.startswith("_")])
            raise UsageError(
                f"{subject}: {source} has no {path}{near or '; name what is in it'}", see="commands"
            )
        found = getattr(found, name)
    return found


def _import_file(path: Path) -> Any:
    spec_of_file = importlib.util.spec_from_file_location(path.stem, path)
    if spec_of_file is None or spec_of_file.loader is None or not path.is_file():
        raise FileNotFoundError("there is no such file")
    module = importlib.util.module_from_spec(spec_of_file)
    sys.modules.setdefault(path.stem, module)
    spec_of_file.loader.exec_module(module)
    return module
