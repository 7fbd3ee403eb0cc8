"""From models, found or named, to a test file that pytest can collect."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path

from pytest_archcheck.errors import ArchcheckError, RecordingError, UsageError
from pytest_archcheck.files import write_whole
from pytest_archcheck.marks import usage
from pytest_archcheck.proposals.finding import find_models, module_of
from pytest_archcheck.proposals.writing import Proposal, test_file
from pytest_archcheck.subjects import check_form, named, parse_inputs
from pytest_archcheck.traces import Trace

_AT_MOST = 20
"""Models in one file; more than that, and nobody reads it."""
_NAME = "test_architecture.py"


def propose(subjects: Sequence[str], inputs: Sequence[str], output: str | None) -> Iterator[str]:
    """Write a test file for the models that are named, else for those of the present folder, and say what was done.

    Raises:
        UsageError: there is no model to propose anything for, or the file is there already.
        RecordingError: the one model that was named cannot be recorded.
    """
    folder = Path.cwd()
    homes = [Path(output)] if output else [path / _NAME for path in (*_test_folders(folder), folder)]
    for home in homes:
        if home.exists():
            raise UsageError(
                f"{_shown(home, folder)} is there already, and is not overwritten; for models that came since, name "
                "them and another file: archcheck init module:name -o "
                f"{_shown(home.with_name('test_more_architecture.py'), folder)}",
                see="init",
            )
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    if subjects:
        wanted = [_as_module(check_form(subject), folder) for subject in subjects]
    else:
        found = find_models(folder)
        yield f"looked at {found.files} of the project's files, those that import torch"
        yield from (f"not looked into: {text}" for text in found.passed_over)
        if found.needing_arguments:
            yield f"need arguments, so give a function that builds one: {_listed(found.needing_arguments)}"
        wanted = found.subjects
        if not wanted:
            raise UsageError(
                "no model was found that can be built without arguments; name one, as in "
                "archcheck init torchvision.models:resnet18 --input 1x3x224x224",
                see="init",
            )
    proposals, told = _recorded(wanted, inputs, all_of_them=bool(subjects))
    yield from told
    if not proposals:
        raise UsageError(
            "no model could be recorded; name one with what it is called with, as in "
            f"archcheck init {wanted[0]} --input 1x3x224x224",
            see="init",
        )
    for proposal in proposals:
        trace = proposal.trace
        guess = f", its input guessed from {proposal.guessed}" if proposal.guessed else ""
        yield (
            f"proposed: {proposal.subject}: depth {trace.depth('paper')} (paper), {trace.params.total:,} parameters"
            f"{guess}"
        )
    yield from _written(test_file(proposals), homes, folder)


def _as_module(subject: str, folder: Path) -> str:
    """A subject that a test can import: ``nets/small.py:Net`` is ``nets.small:Net``."""
    source, _, name = subject.rpartition(":")
    if not source.endswith(".py"):
        return subject
    root, module = module_of(Path(source).resolve(), folder)
    if str(root) not in sys.path:
        sys.path.insert(0, str(root))
    return f"{module}:{name}"


def _recorded(
    subjects: Sequence[str], inputs: Sequence[str], *, all_of_them: bool
) -> tuple[list[Proposal], list[str]]:
    """A proposal for each model; without those that are part of another or the same, unless they were named."""
    proposals: list[Proposal] = []
    told: list[str] = []
    for subject in subjects:
        try:
            proposal = _proposal(subject, inputs)
        except ArchcheckError as error:
            if len(subjects) == 1:
                raise
            told.append(f"not proposed: {str(error).splitlines()[0]}")
        else:
            proposals.append(proposal)
    if all_of_them:
        return proposals, told
    kept: list[Proposal] = []
    for proposal in proposals:
        others = [other for other in proposals if other is not proposal]
        whole = next((other for other in others if _is_part(proposal, other.trace)), None)
        same = next((other for other in kept if other.trace.to_text() == proposal.trace.to_text()), None)
        if whole or same:
            what = f"part of {whole.subject}" if whole else f"the same as {same.subject if same else ''}"
            told.append(f"not proposed: {proposal.subject}: {what}")
        else:
            kept.append(proposal)
    if len(kept) > _AT_MOST:
        rest = _listed([proposal.subject for proposal in kept[_AT_MOST:]])
        told.append(f"not proposed, since {_AT_MOST} are enough for one file: {rest}")
    return kept[:_AT_MOST], told


def _proposal(subject: str, inputs: Sequence[str]) -> Proposal:
    from pytest_archcheck.recording import trace
    from pytest_archcheck.recording.guesses import forward_of, recorded_as_guessed

    with redirect_stdout(sys.stderr):  # what the model prints is not what was asked for
        model = named(subject)
        if inputs:
            arguments, kwargs = parse_inputs(inputs)
            return Proposal(subject, arguments, kwargs, trace(model, arguments, kwargs=kwargs or None))
        found = recorded_as_guessed(model)
    if found is None:
        raise RecordingError(
            f"{subject}: none of the guessed inputs fits its forward{usage(forward_of(model))}; say what it is called "
            "with: --input 1x3x224x224, --input 1x128:int64:30522",
            see="init",
        )
    recorded, guess = found
    return Proposal(subject, guess.inputs, guess.kwargs, recorded, guess.why)


def _is_part(proposal: Proposal, of: Trace) -> bool:
    """Whether a model is a class, no function, and that of a module inside another."""
    name = proposal.subject.replace(":", ".")
    return any(module.name and module.type == name for module in of.modules)


def _written(text: str, homes: Sequence[Path], folder: Path) -> Iterator[str]:
    """Write the file in the first home from which pytest can import the models, and say what to do next."""
    complaint = ""
    for home in homes:
        home.parent.mkdir(parents=True, exist_ok=True)
        write_whole(home, text.encode())
        complaint = _complaint(home)
        if not complaint:
            break
        if home is not homes[-1]:
            home.unlink()
    shown = _shown(home, folder)
    yield f"written: {shown}"
    if complaint:
        yield f"pytest cannot collect it yet: {complaint}"
        yield "install the project, or say where it is, in pyproject.toml below [tool.pytest.ini_options]:"
        yield f'  pythonpath = ["{"src" if (folder / "src").is_dir() else "."}"]'
    yield f"next: read it, then pytest --snapshot-update {shown}, and commit what that writes with it"


def _shown(path: Path, folder: Path) -> Path:
    return path.relative_to(folder) if path.is_relative_to(folder) else path


def _test_folders(folder: Path) -> list[Path]:
    return [folder / name for name in ("tests", "test") if (folder / name).is_dir()]


def _complaint(file: Path) -> str:
    """Why pytest, without the present folder on the import path, cannot collect a file; empty if it can."""
    command = [
        sys.executable,
        "-P",
        "-m",
        "pytest",
        "--collect-only",
        "-q",
        "-p",
        "no:cacheprovider",
        str(file),
    ]
    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False)
    if run.returncode == 0:
        return ""
    lines = run.stdout.splitlines()
    return next((line.removeprefix("E").strip() for line in lines if line.startswith("E ")), "pytest fails")


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
