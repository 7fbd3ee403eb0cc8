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
        arch_depth,
        arch_flops,
        arch_layers,
        arch_macs,
        arch_output,
        arch_params,
        arch_receptive_field,
        arch_same_as,
        arch_shapes,
        arch_shortcuts,
        arch_size,
        arch_stages,
    )
    from pytest_archcheck.recording import count, trace
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
    "arch_depth": "marks",
    "arch_flops": "marks",
    "arch_layers": "marks",
    "arch_macs": "marks",
    "arch_output": "marks",
    "arch_params": "marks",
    "arch_receptive_field": "marks",
    "arch_same_as": "marks",
    "arch_shapes": "marks",
    "arch_shortcuts": "marks",
    "arch_size": "marks",
    "arch_stages": "marks",
    "convention": "graph.conventions",
    "count": "recording",
    "diff": "drift",
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
    "arch_depth",
    "arch_flops",
    "arch_layers",
    "arch_macs",
    "arch_output",
    "arch_params",
    "arch_receptive_field",
    "arch_same_as",
    "arch_shapes",
    "arch_shortcuts",
    "arch_size",
    "arch_stages",
    "convention",
    "count",
    "diff",
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
