"""What each command of ``archcheck`` does: it prints, and gives the exit status."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_archcheck.collector import collector_off
from pytest_archcheck.errors import UsageError
from pytest_archcheck.subjects import is_absent, is_file, load, read_file, state_of

DRIFTED = 1
"""The exit status where something drifted."""


@collector_off()
def diff(options: argparse.Namespace) -> int:
    """Print what changed from one architecture to another."""
    from pytest_archcheck.drift.compare import diff
    from pytest_archcheck.drift.reader import Known
    from pytest_archcheck.drift.severity import Severity, severities_of
    from pytest_archcheck.reports import drift as report
    from pytest_archcheck.reports.markdown import escaped

    try:
        failing = set(Severity) if options.fail_on is None else severities_of(options.fail_on)
    except UsageError as error:
        raise UsageError(f"--fail-on {options.fail_on}: {error}", see=error.see) from None
    subjects = options.before, options.after
    if any(map(is_absent, subjects)):
        only, state = (subjects[0], "gone") if is_absent(subjects[1]) else (subjects[1], "new")
        if options.form == "json":
            _print_json({"drift": True, "severity": None, "verdict": f"{only}: {state}", "changes": []})
        elif options.form == "markdown":
            print(f"### {escaped(Path(only).stem.removeprefix('test_'))}: {state}")
        else:
            print(f"{only}: {state}")
        return DRIFTED if failing else 0
    if all(map(is_file, subjects)):
        if options.input:
            raise UsageError(
                "--input goes with a model to be recorded, and both are recorded ones; leave it out",
                see="diff",
            )
        known = Known()
        before, after = (read_file(path, known) for path in subjects)
    else:
        before, after = (
            load(
                subject, () if is_file(subject) else options.input, device=options.device, train=options.train
            )
            for subject in subjects
        )
    drift = diff(before, after)
    stems = {Path(subject).stem if is_file(subject) else "" for subject in subjects}
    name = stems.pop().removeprefix("test_") if len(stems) == 1 else ""
    if options.form == "json":
        _print_json(report.as_data(drift, name))
    elif options.form == "markdown":
        print(report.markdown(drift, name))
    else:
        print(report.explain(drift, name, full=options.full, hint=" (all with --full)"))
    return DRIFTED if drift.fails(failing) else 0


def show(options: argparse.Namespace) -> int:
    """Print a model's layers."""
    from pytest_archcheck.reports.columns import chosen
    from pytest_archcheck.reports.layers import as_data
    from pytest_archcheck.reports.table import markdown, print_table

    columns = chosen(options.columns)
    trace = load(options.model, options.input, device=options.device, train=options.train)
    if options.form == "json":
        _print_json(as_data(trace))
    elif options.form == "markdown":
        print(markdown(trace, columns=columns, shapes=options.shapes, full=options.full))
    elif options.form == "arch":
        sys.stdout.write(trace.to_text())
    else:
        from rich.console import Console

        # piped, a row is a line, however long
        console = Console(
            width=None if sys.stdout.isatty() else 10_000, highlight=False, markup=False, emoji=False
        )
        print_table(trace, console, columns=columns, shapes=options.shapes, full=options.full)
    return 0


def explain(options: argparse.Namespace) -> int:
    """Print how deep a model is under a convention, and what was counted."""
    from pytest_archcheck.reports import depth as report

    trace = load(options.model, options.input, device=options.device, train=options.train)
    explanation = trace.explain_depth(options.convention)
    if options.form == "json":
        _print_json(report.as_data(explanation))
    elif options.form == "markdown":
        print(report.markdown(explanation))
    else:
        print(report.render_depth(explanation))
    return 0


def graph(options: argparse.Namespace) -> int:
    """Print or write a picture of a model."""
    from pytest_archcheck import pictures
    from pytest_archcheck.drift.compare import diff

    if options.output is not None:
        pictures.checked_form(options.output)
        if options.form is not None:
            raise UsageError(
                "--mermaid goes without -o; a file's name says what to write, as in -o net.mmd",
                see="graph",
            )
    subjects = [options.model, *([options.against] if options.against else [])]
    if options.input and all(map(is_file, subjects)):
        raise UsageError(
            "--input goes with a model to be recorded, and all that is named is recorded already; leave it out",
            see="graph",
        )
    traces = [
        load(subject, () if is_file(subject) else options.input, device=options.device, train=options.train)
        for subject in subjects
    ]
    drift = diff(traces[1], traces[0]) if options.against else None
    if options.output is None:
        sys.stdout.write(pictures.text_of(traces[0], drift, options.convention, options.form or "dot"))
    else:
        pictures.write_picture(traces[0], drift, options.convention, options.output)
    return 0


def checkpoint(options: argparse.Namespace) -> int:
    """Print whether a model takes the tensors of a checkpoint."""
    from pytest_archcheck.checkpoints.headers import read_header
    from pytest_archcheck.checkpoints.keys import compare

    match = compare(state_of(options.model), read_header(options.file))
    if options.json:
        _print_json(asdict(match))
    else:
        print(
            "\n".join(
                [
                    f"{options.file}: {match.verdict}",
                    *(f"  {line}" for line in match.lines(full=options.full)),
                ]
            )
        )
    return 0 if match else DRIFTED


def init(options: argparse.Namespace) -> int:
    """Write a proposed test file, and print what was found."""
    from pytest_archcheck.proposals.proposing import propose

    for line in propose(options.models, options.input, options.output):
        print(line, flush=True)
    return 0


def about(options: argparse.Namespace) -> int:
    """Print a page of the documentation, or the list of them."""
    from pytest_archcheck import pages

    if not options.topic:
        named = pages.titles()
        width = max(map(len, named))
        print("\n".join(f"{name:{width}}  {title}" for name, title in named.items()))
        print("and every mark, option and command by its name, as in archcheck help arch_depth")
        return 0
    text = pages.text_of(" ".join(options.topic))
    if sys.stdout.isatty():
        from rich.console import Console
        from rich.markdown import Markdown

        console = Console()
        console.print(Markdown(text), width=min(console.width, 100))
    else:
        sys.stdout.write(text)
    return 0


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))
