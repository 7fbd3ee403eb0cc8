"""The command ``archcheck``: what changed between two architectures, what one is, and why it is called 18 layers deep.

Reading and comparing ``.arch`` files needs no torch. Exit status: 0, for ``diff`` 1 where something drifted, 2 for an
error, which is told in one line.
"""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any

from pytest_archcheck import __version__, commands
from pytest_archcheck.errors import ArchcheckError, told

FAILED, INTERRUPTED = 2, 130
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
        print(f"archcheck: error: {told(error)}", file=sys.stderr)
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
    verbs = parser.add_subparsers(required=True, metavar="COMMAND")

    diff = _command(
        verbs, "diff", "what changed from one architecture to another; exit status 1 if anything did"
    )
    diff.add_argument("before", metavar="BEFORE", help=_SUBJECT)
    diff.add_argument("after", metavar="AFTER", help=_SUBJECT)
    diff.add_argument("--full", action="store_true", help="cut no list")
    diff.add_argument(
        "--fail-on",
        metavar="SEVERITIES",
        help="exit with 1 for these only: breaking, behaviour, training, cost, cosmetic, with commas, or none",
    )
    diff.set_defaults(run=commands.diff)

    show = _command(verbs, "show", "the layers of a model, with shapes, parameters and MACs")
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
    show.set_defaults(run=commands.show)

    explain = _command(verbs, "explain", "how deep a model is under a convention, and what was counted")
    explain.add_argument("model", metavar="MODEL", help=_SUBJECT)
    explain.add_argument(
        "--convention", default="paper", help="paper (the default), longest-path, weighted, …"
    )
    explain.set_defaults(run=commands.explain)

    graph = _command(verbs, "graph", "a picture of a model: its stages, blocks, shortcuts and longest path")
    graph.add_argument("model", metavar="MODEL", help=_SUBJECT)
    graph.add_argument("-o", "--output", metavar="FILE", help="a .svg, .png, .pdf, .dot or .mmd file")
    graph.add_argument("--against", metavar="BEFORE", help="mark what changed from this model or .arch file")
    graph.add_argument("--convention", default="paper", help="whose path to mark: paper (the default), …")
    graph.set_defaults(run=commands.graph)

    checkpoint = verbs.add_parser(
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
    checkpoint.set_defaults(run=commands.checkpoint)

    init = verbs.add_parser(
        "init",
        help="propose a test file for the project's models, with today's figures; nothing is overwritten",
        description="Find the project's models, or take those that are named, and write a test file that states "
        "their figures of today. No file is overwritten.",
    )
    init.add_argument(
        "models", metavar="MODEL", nargs="*", help="module:callable; without any, all are searched for"
    )
    _add_input(init)
    init.add_argument(
        "-o", "--output", metavar="FILE", help="the file to write; by default test_architecture.py"
    )
    init.set_defaults(run=commands.init)

    about = verbs.add_parser(
        "help",
        help="the documentation: a page, or what is written about a mark, an option or a command",
        description="A page of the documentation, or what it says of a mark, an option or a command.",
        prefix_chars="+",  # --arch-device is a topic
        add_help=False,
    )
    about.add_argument(
        "topic",
        metavar="TOPIC",
        nargs="*",
        help="as in tutorial, arch_depth, --arch-device, diff",
    )
    about.set_defaults(run=commands.about)
    return parser


def _command(verbs: Any, name: str, what: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = verbs.add_parser(name, help=what, description=what)
    _add_input(command)
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


def _add_input(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="[NAME=]SHAPE[:DTYPE[:HIGH]]",
        help="what the model is called with: 1x3x224x224, input_ids=1x128:int64:30522; once for each input",
    )
