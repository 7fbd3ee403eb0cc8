"""The columns of a model's table, and the ways to write a shape."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pytest_archcheck.drift.writer import config_text, spec_text
from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.sizes import size_formula
from pytest_archcheck.records import LayerCall, TensorSpec
from pytest_archcheck.reports.rows import Row
from pytest_archcheck.traces import Trace

DEFAULT = ("layer", "type", "output", "depth", "parameters", "MACs", "share")
NOTATIONS = ("full", "times", "maps", "list")
"""``[1,64,112,112]``, and without the batch ``64×112×112``, ``64@112*112`` (maps @ size), ``[64, 112, 112]``."""


@dataclass(frozen=True, slots=True)
class Setting:
    """What all cells of a table need: the trace, how to write shapes."""

    trace: Trace
    shapes: str = "full"

    def shape(self, specs: Sequence[TensorSpec]) -> str:
        """Shapes in the chosen notation; one without the batch's size in front is written whole."""
        return " ".join(self._shape(spec) for spec in specs)

    def _shape(self, spec: TensorSpec) -> str:
        batch = self.trace.inputs[0].shape[:1] if self.trace.inputs else ()
        if self.shapes == "full" or len(spec.shape) < 2 or spec.shape[:1] != batch:
            return spec_text(spec)
        sizes = [str(size) for size in spec.shape[1:]]
        if self.shapes == "times":
            text = "×".join(sizes)
        elif self.shapes == "maps":
            text = sizes[0] + (f"@{'*'.join(sizes[1:])}" if sizes[1:] else "")
        else:
            text = f"[{', '.join(sizes)}]"
        return text if spec.dtype == "float32" else f"{spec.dtype} {text}"


def _layer(row: Row, setting: Setting) -> str:
    return "  " * row.level + row.name


def _config(row: Row, setting: Setting) -> str:
    call = row.unit.call if row.unit is not None else None
    return config_text(call.module)[1:-1] if isinstance(call, LayerCall) and call.config else ""


def _input(row: Row, setting: Setting) -> str:
    return setting.shape(row.unit.call.inputs) if row.unit is not None else ""


def _output(row: Row, setting: Setting) -> str:
    return setting.shape(row.unit.call.outputs) if row.unit is not None else ""


def _formula(row: Row, setting: Setting) -> str:
    return size_formula(row.unit.call) if row.unit is not None else ""


def _number(value: int) -> str:
    return f"{value:,}" if value else ""


def _times(row: Row, times: int) -> str:
    """A partial number says so."""
    if not row.uncounted:
        return _number(times * row.macs)
    return f"≥ {times * row.macs:,}" if row.macs else "not counted"


def _share(row: Row, setting: Setting) -> str:
    """Empty where the sum of all is not known."""
    if not row.macs or setting.trace.status != "complete":
        return ""
    share = 100 * row.macs / setting.trace.macs
    return f"{share:.1f} %" if share >= 0.05 else "<0.1 %"


Cell = Callable[[Row, Setting], str]

COLUMNS: Mapping[str, tuple[Cell, bool]] = {
    "layer": (_layer, False),
    "type": (lambda row, _: row.kind, False),
    "config": (_config, False),
    "input": (_input, False),
    "output": (_output, False),
    "formula": (_formula, False),
    "depth": (lambda row, _: _number(row.depth), True),
    "parameters": (lambda row, _: _number(row.params), True),
    "trainable": (lambda row, _: _number(row.trainable), True),
    "MACs": (lambda row, _: _times(row, 1), True),
    "FLOPs": (lambda row, _: _times(row, 2), True),
    "share": (_share, True),
}
"""Each with what writes its cells, and whether they are numbers. ``share`` is that of all MACs."""


def chosen(text: str | None) -> tuple[str, ...]:
    """The columns of ``"layer,output,MACs"``, or of ``"+formula,config"`` those and the usual ones.

    Raises:
        UsageError: a name is no column.
    """
    if not text:
        return DEFAULT
    names = {name.lower(): name for name in COLUMNS}
    words = [word.strip().removeprefix("+") for word in text.split(",")]
    for word in words:
        if word.lower() not in names:
            raise UsageError(
                f"--columns: {word!r} is no column; name some of {', '.join(COLUMNS)}", see="show"
            )
    own = [names[word.lower()] for word in words]
    if text.lstrip().startswith("+"):
        return tuple(name for name in COLUMNS if name in {*own, *DEFAULT})
    return tuple(dict.fromkeys(own))
