"""What a project can state of an architecture: one module for each family, one class for each mark.

An invariant is built from a mark's arguments (wrong ones raise ``UsageError``), says what it claims, so that two
that contradict each other are found before anything runs, and judges a trace.
"""

from __future__ import annotations

from pytest_archcheck.invariants.base import Context, Invariant, Violation
from pytest_archcheck.invariants.behaviour import BatchIndependent, Causal, Deterministic, GradientFlow
from pytest_archcheck.invariants.build import Dtype, Exportable, Initialised
from pytest_archcheck.invariants.calls import ModeParity, ShapesFor
from pytest_archcheck.invariants.checkpoint import Checkpoint
from pytest_archcheck.invariants.counts import ActivationPeak, Flops, Macs, Params, Size
from pytest_archcheck.invariants.depth import Depth
from pytest_archcheck.invariants.layers import Layers
from pytest_archcheck.invariants.sameness import SameAs
from pytest_archcheck.invariants.shapes import OutputShape, Shapes
from pytest_archcheck.invariants.state import Frozen, NoUnused, Tied
from pytest_archcheck.invariants.structure import ReceptiveFieldSize, Shortcuts, Stages

__all__ = ["INVARIANTS", "Context", "Invariant", "Violation"]

INVARIANTS: dict[str, type[Invariant]] = {
    "arch_depth": Depth,
    "arch_layers": Layers,
    "arch_params": Params,
    "arch_macs": Macs,
    "arch_flops": Flops,
    "arch_size": Size,
    "arch_activations": ActivationPeak,
    "arch_output": OutputShape,
    "arch_shapes": Shapes,
    "arch_stages": Stages,
    "arch_shortcuts": Shortcuts,
    "arch_receptive_field": ReceptiveFieldSize,
    "arch_same_as": SameAs,
    "arch_frozen": Frozen,
    "arch_tied": Tied,
    "arch_no_unused": NoUnused,
    "arch_checkpoint": Checkpoint,
    "arch_shapes_for": ShapesFor,
    "arch_mode_parity": ModeParity,
    "arch_dtype": Dtype,
    "arch_initialised": Initialised,
    "arch_exportable": Exportable,
    "arch_gradients": GradientFlow,
    "arch_batch_independent": BatchIndependent,
    "arch_causal": Causal,
    "arch_deterministic": Deterministic,
}
"""The class behind each mark."""
