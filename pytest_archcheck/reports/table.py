"""A model's table, on a terminal and as Markdown: folded rows, chosen columns, and the totals."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from pytest_archcheck.drift.writer import spec_text
from pytest_archcheck.reports import markdown as md
from pytest_archcheck.reports.columns import COLUMNS, DEFAULT, Setting
from pytest_archcheck.reports.figures import at_least
from pytest_archcheck.reports.rows import Row, rows_of
from pytest_archcheck.traces import Trace

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

_LEAST = (
    "share",
    "type",
    "trainable",
    "depth",
    "input",
    "config",
    "formula",
    "FLOPs",
    "output",
    "parameters",
    "MACs",
)
"""What a narrow terminal goes without, first what is missed least."""


def print_table(
    trace: Trace,
    console: Console,
    *,
    columns: Sequence[str] = DEFAULT,
    shapes: str = "full",
    full: bool = False,
) -> None:
    """Print a model's rows and totals, with as many of the columns as the console is wide.

    Args:
        trace: of the model.
        console: where to; its markup and highlighting have to be off, since names may hold any sign.
        columns: names out of ``COLUMNS``.
        shapes: one of ``NOTATIONS``.
        full: every call in a row of its own.
    """
    rows, setting = rows_of(trace, full=full), Setting(trace, shapes)
    shown = list(columns)
    table = _table(rows, shown, setting)
    while _width(table, console) > console.width and any(name in shown for name in _LEAST) and len(shown) > 1:
        shown.remove(next(name for name in _LEAST if name in shown))
        table = _table(rows, shown, setting)
    console.print(f"{trace.model.type} · {_how(trace)}")
    console.print(table)
    for line in totals(trace):
        console.print(line)
    left_out = [name for name in columns if name not in shown]
    if left_out:
        console.print(f"columns left out at this width: {', '.join(left_out)}")


def markdown(
    trace: Trace, *, columns: Sequence[str] = DEFAULT, shapes: str = "full", full: bool = False
) -> str:
    """The same as Markdown, with all columns."""
    rows, setting = rows_of(trace, full=full), Setting(trace, shapes)
    heading = f"### {md.escaped(trace.model.type)}\n\n{md.escaped(_how(trace))}"
    cells = ([_indented(cell) for cell in _cells(row, columns, setting)] for row in rows)
    right = [at for at, name in enumerate(columns) if COLUMNS[name][1]]
    lines = "\n".join(f"- {md.escaped(line)}" for line in totals(trace))
    return f"{heading}\n\n{md.table(columns, cells, right=right)}\n\n{lines}"


def totals(trace: Trace) -> Iterator[str]:
    """The numbers of the whole model, in lines."""
    params = trace.params
    yield f"parameters {params.total:,} (trainable {params.trainable:,}) · buffers {params.buffers:,}"
    yield f"MACs {at_least(trace.macs, trace.status)} ({trace.status}) · depth (paper) {trace.depth('paper')}"
    size, peak = _bytes(trace.size), _bytes(trace.activations.peak)
    yield f"size {size} · activations at their peak about {peak}"
    yield f"output {', '.join(f'{spec.path} {spec_text(spec)}'.strip() for spec in trace.outputs)}"


def _bytes(number: int) -> str:
    unit, size = ("MiB", 2**20) if number >= 2**20 else ("KiB", 2**10)
    return f"{number / size:.2f} {unit}"


def _table(rows: Sequence[Row], columns: Sequence[str], setting: Setting) -> Table:
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        is_last = len(columns) == 1
        table.add_column(
            name, justify="right" if COLUMNS[name][1] else "left", no_wrap=not is_last, overflow="fold"
        )
    for row in rows:
        is_quiet = not (row.params or row.macs or row.depth or row.uncounted)
        style = "bold" if row.is_open else "dim" if is_quiet else ""
        table.add_row(*_cells(row, columns, setting), style=style)
    return table


def _width(table: Table, console: Console) -> int:
    from rich.measure import Measurement

    return Measurement.get(console, console.options.update(width=100_000), table).maximum


def _cells(row: Row, columns: Sequence[str], setting: Setting) -> list[str]:
    return [COLUMNS[name][0](row, setting) for name in columns]


def _indented(cell: str) -> str:
    """Spaces in front, which Markdown would drop."""
    text = cell.lstrip(" ")
    return "\u2003" * ((len(cell) - len(text)) // 2) + text


def _how(trace: Trace) -> str:
    inputs = ", ".join(f"{spec.path} {spec_text(spec)}" for spec in trace.inputs)
    placement = f", recorded on {trace.placement}" if trace.placement else ""
    return f"{'train' if trace.training else 'eval'}, {inputs or 'no inputs'}{placement}"
