"""The command ``archcheck``: what changed between two architectures, what one is, and why it is called 18 layers deep.

Reading and comparing ``.arch`` files needs no torch. Exit status: 0, for ``diff`` 1 where something drifted, 2 for an
error, which is told in one line.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pytest_archcheck import __version__
from pytest_archcheck.collector import collector_off
from pytest_archcheck.errors import ArchcheckError, UsageError
from pytest_archcheck.subjects import is_absent, is_file, load, read_file, state_of

DRIFTED, FAILED, INTERRUPTED = 1, 2, 130
_SUBJECT = "module:callable, path/file.py:callable, or an .arch file"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status."""
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(errors="replace")  # an arrow where the terminal has none
    options = _parser().parse_args(arguments)
    try:
        status = int(options.run(options))
        sys.stdout.flush()
        return status
    except ArchcheckError as error:
        print(f"archcheck: error: {error}", file=sys.stderr)
        return FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader, as in | head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception:  # 1 says that something drifted
        traceback.print_exc()
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="archcheck", description="Architecture of PyTorch models.")
    parser.add_argument("--version", action="version", version=f"archcheck {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    diff = _command(
        commands, "diff", "what changed from one architecture to another; exit status 1 if anything did"
    )
    diff.add_argument("before", metavar="BEFORE", help=_SUBJECT)
    diff.add_argument("after", metavar="AFTER", help=_SUBJECT)
    diff.add_argument("--full", action="store_true", help="cut no list")
    diff.add_argument(
        "--fail-on",
        metavar="SEVERITIES",
        help="exit with 1 for these only: breaking, behaviour, training, cost, cosmetic, with commas, or none",
    )
    diff.set_defaults(run=_diff)

    show = _command(commands, "show", "the layers of a model, with shapes, parameters and MACs")
    show.add_argument("model", metavar="MODEL", help=_SUBJECT)
    show.add_argument("--full", action="store_true", help="every call in a row of its own")
    show.add_argument(
        "--columns",
        metavar="NAMES",
        help="of layer, type, config, input, output, formula, depth, parameters, trainable, MACs, FLOPs, share; "
        "+formula adds one to the usual",
    )
    show.add_argument(
        "--shapes",
        choices=("full", "times", "maps", "list"),
        default="full",
        help="how to write them: [1,64,112,112], 64×112×112, 64@112*112, [64, 112, 112]",
    )
    show.set_defaults(run=_show)

    explain = _command(commands, "explain", "how deep a model is under a convention, and what was counted")
    explain.add_argument("model", metavar="MODEL", help=_SUBJECT)
    explain.add_argument(
        "--convention", default="paper", help="paper (the default), longest-path, weighted, …"
    )
    explain.set_defaults(run=_explain)

    graph = _command(
        commands, "graph", "a picture of a model: its stages, blocks, shortcuts and longest path"
    )
    graph.add_argument("model", metavar="MODEL", help=_SUBJECT)
    graph.add_argument("-o", "--output", metavar="FILE", help="a .svg, .png, .pdf, .dot or .mmd file")
    graph.add_argument("--against", metavar="BEFORE", help="mark what changed from this model or .arch file")
    graph.add_argument("--convention", default="paper", help="whose path to mark: paper (the default), …")
    graph.set_defaults(run=_graph)

    checkpoint = commands.add_parser(
        "checkpoint",
        help="whether a model takes the tensors of a checkpoint, by name and shape; exit status 1 if not",
        description="Whether a model takes the tensors of a checkpoint, of which only the header is read.",
    )
    checkpoint.add_argument("model", metavar="MODEL", help=_SUBJECT)
    checkpoint.add_argument(
        "file", metavar="FILE", help="a .safetensors, .pt, .pth or .bin file, or an index of shards"
    )
    checkpoint.add_argument("--full", action="store_true", help="cut no list")
    checkpoint.add_argument("--json", action="store_true", help="for programs")
    checkpoint.set_defaults(run=_checkpoint)
    return parser


def _command(commands: Any, name: str, what: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = commands.add_parser(name, help=what, description=what)
    command.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]SHAPE[:DTYPE[:HIGH]]",
        help="what the model is called with: 1x3x224x224, input_ids=1x128:int64:30522; once for each input",
    )
    command.add_argument("--device", default="auto", help="auto (the default), meta, cpu, cuda, fake")
    command.add_argument("--train", action="store_true", help="record in training mode")
    form = command.add_mutually_exclusive_group()
    if name == "graph":
        form.add_argument(
            "--mermaid", dest="form", action="store_const", const="mmd", help="print Mermaid instead of DOT"
        )
        return command
    form.add_argument("--json", dest="form", action="store_const", const="json", help="for programs")
    form.add_argument(
        "--markdown", dest="form", action="store_const", const="markdown", help="for a pull request"
    )
    if name == "show":
        form.add_argument("--arch", dest="form", action="store_const", const="arch", help="the .arch text")
    return command


@collector_off()
def _diff(options: argparse.Namespace) -> int:
    from pytest_archcheck.drift.compare import diff
    from pytest_archcheck.drift.reader import Known
    from pytest_archcheck.drift.severity import Severity, severities_of
    from pytest_archcheck.reports import drift as report

    failing = set(Severity) if options.fail_on is None else severities_of(options.fail_on)
    subjects = options.before, options.after
    if any(map(is_absent, subjects)):
        print(f"{subjects[0]}: gone" if is_absent(subjects[1]) else f"{subjects[1]}: new")
        return DRIFTED if failing else 0
    if all(map(is_file, subjects)):
        if options.input:
            raise UsageError("--input goes with a model to be recorded, and both are recorded ones")
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


def _show(options: argparse.Namespace) -> int:
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


def _explain(options: argparse.Namespace) -> int:
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


def _graph(options: argparse.Namespace) -> int:
    from pytest_archcheck import pictures
    from pytest_archcheck.drift.compare import diff

    if options.output is not None:
        pictures.checked_form(options.output)
        if options.form is not None:
            raise UsageError("--mermaid goes without -o; a file's name says what to write, as in -o net.mmd")
    subjects = [options.model, *([options.against] if options.against else [])]
    if options.input and all(map(is_file, subjects)):
        raise UsageError(
            "--input goes with a model to be recorded, and all that is named is recorded already"
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


def _checkpoint(options: argparse.Namespace) -> int:
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


def _print_json(data: Any) -> None:
    print(json.dumps(data, indent=2, ensure_ascii=False))
