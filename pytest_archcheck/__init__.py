"""pytest-archcheck: architecture invariants of PyTorch models as tests.

Importing this package imports neither torch nor the rooms behind the names below.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pytest_archcheck.costs.formulas import mac_formula
    from pytest_archcheck.drift import Drift, diff
    from pytest_archcheck.errors import ArchcheckError, FormatError, RecordingError, UsageError
    from pytest_archcheck.graph.conventions import convention
    from pytest_archcheck.inputs import spec
    from pytest_archcheck.marks import (
        arch,
        arch_activations,
        arch_batch_independent,
        arch_causal,
        arch_checkpoint,
        arch_depth,
        arch_deterministic,
        arch_dtype,
        arch_exportable,
        arch_flops,
        arch_frozen,
        arch_gradients,
        arch_initialised,
        arch_layers,
        arch_macs,
        arch_mode_parity,
        arch_no_unused,
        arch_output,
        arch_params,
        arch_receptive_field,
        arch_same_as,
        arch_shapes,
        arch_shapes_for,
        arch_shortcuts,
        arch_size,
        arch_stages,
        arch_tied,
    )
    from pytest_archcheck.recording import count, trace
    from pytest_archcheck.recording.dependence import dependence
    from pytest_archcheck.recording.gradients import gradients
    from pytest_archcheck.traces import Trace

__version__ = "0.1.0"

_HOMES = {
    "ArchcheckError": "errors",
    "Drift": "drift",
    "FormatError": "errors",
    "RecordingError": "errors",
    "Trace": "traces",
    "UsageError": "errors",
    "arch": "marks",
    "arch_activations": "marks",
    "arch_batch_independent": "marks",
    "arch_causal": "marks",
    "arch_checkpoint": "marks",
    "arch_depth": "marks",
    "arch_deterministic": "marks",
    "arch_dtype": "marks",
    "arch_exportable": "marks",
    "arch_flops": "marks",
    "arch_frozen": "marks",
    "arch_gradients": "marks",
    "arch_initialised": "marks",
    "arch_layers": "marks",
    "arch_macs": "marks",
    "arch_mode_parity": "marks",
    "arch_no_unused": "marks",
    "arch_output": "marks",
    "arch_params": "marks",
    "arch_receptive_field": "marks",
    "arch_same_as": "marks",
    "arch_shapes": "marks",
    "arch_shapes_for": "marks",
    "arch_shortcuts": "marks",
    "arch_size": "marks",
    "arch_stages": "marks",
    "arch_tied": "marks",
    "convention": "graph.conventions",
    "count": "recording",
    "dependence": "recording.dependence",
    "diff": "drift",
    "gradients": "recording.gradients",
    "mac_formula": "costs.formulas",
    "spec": "inputs",
    "trace": "recording",
}

__all__ = [
    "ArchcheckError",
    "Drift",
    "FormatError",
    "RecordingError",
    "Trace",
    "UsageError",
    "__version__",
    "arch",
    "arch_activations",
    "arch_batch_independent",
    "arch_causal",
    "arch_checkpoint",
    "arch_depth",
    "arch_deterministic",
    "arch_dtype",
    "arch_exportable",
    "arch_flops",
    "arch_frozen",
    "arch_gradients",
    "arch_initialised",
    "arch_layers",
    "arch_macs",
    "arch_mode_parity",
    "arch_no_unused",
    "arch_output",
    "arch_params",
    "arch_receptive_field",
    "arch_same_as",
    "arch_shapes",
    "arch_shapes_for",
    "arch_shortcuts",
    "arch_size",
    "arch_stages",
    "arch_tied",
    "convention",
    "count",
    "dependence",
    "diff",
    "gradients",
    "mac_formula",
    "spec",
    "trace",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
