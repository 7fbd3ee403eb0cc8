"""What a model shows only when it runs: gradients, and what an output depends on. Plain records of it.

They are made by ``recording.gradients`` and ``recording.dependence``, which runs clones of the model with values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any


@dataclass(frozen=True, slots=True)
class ParameterGradient:
    """The gradient of one trainable parameter.

    ``norm`` is its Euclidean norm, ``None`` where no gradient came, with the ``reason``; ``zeros`` the share of its
    elements that are exactly zero, from 0 to 1; ``finite`` whether no element is NaN or infinite.
    """

    name: str
    shape: tuple[int, ...]
    norm: float | None
    zeros: float = 1.0
    finite: bool = True
    reason: str = ""

    @property
    def layer(self) -> str:
        """The module that it belongs to."""
        return self.name.rpartition(".")[0]


@dataclass(frozen=True)
class Gradients:
    """The gradient of every trainable parameter, of a random mixture of all outputs, in the order of the state dict."""

    model: str
    table: tuple[ParameterGradient, ...]
    placement: str
    notes: tuple[str, ...] = ()

    def __getitem__(self, name: str) -> ParameterGradient:
        """The gradient of the parameter of this name.

        Raises:
            KeyError: no trainable parameter has it.
        """
        return self._by_name[name]

    @cached_property
    def _by_name(self) -> Mapping[str, ParameterGradient]:
        return {gradient.name: gradient for gradient in self.table}

    @property
    def missing(self) -> tuple[ParameterGradient, ...]:
        """Parameters that no gradient came to: DistributedDataParallel fails on these."""
        return tuple(gradient for gradient in self.table if gradient.norm is None)

    @property
    def zero(self) -> tuple[ParameterGradient, ...]:
        """Parameters whose whole gradient is zero."""
        return tuple(
            gradient for gradient in self.table if gradient.norm is not None and gradient.zeros == 1.0
        )

    @property
    def not_finite(self) -> tuple[ParameterGradient, ...]:
        """Parameters with NaN or infinity in their gradient."""
        return tuple(gradient for gradient in self.table if not gradient.finite)

    @property
    def first_to_last(self) -> float | None:
        """The norm of the first matrix or kernel over that of the last; ``None`` where there are no two."""
        norms = [g.norm for g in self.table if len(g.shape) > 1 and g.norm is not None and g.finite]
        return norms[0] / norms[-1] if len(norms) > 1 and norms[-1] else None

    def __str__(self) -> str:
        """A table: each parameter with its norm and its share of zeros."""
        width = max((len(gradient.name) for gradient in self.table), default=0)
        lines = [f"gradients of {self.model} on {self.placement}"]
        for gradient in self.table:
            told = gradient.reason or "none came"
            if gradient.norm is not None:
                told = f"{gradient.norm:.3e}" + (f", {gradient.zeros:.1%} zeros" if gradient.zeros else "")
            lines.append(f"{gradient.name:{width}}  {told}")
        if self.first_to_last is not None:
            lines.append(f"first matrix / last matrix: {self.first_to_last:.3g}")
        return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Dependence:
    """An output that depends on what it must not depend on.

    ``output`` is its path (``""`` for the only one), ``positions`` the first positions that changed, ``change`` by how
    much, relative to the output's largest element. ``layer`` is the first module that brought it in, with its class.
    """

    output: str
    positions: tuple[int, ...]
    change: float
    layer: str
    type: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why torch does not take the architecture: the ``layer`` (``""`` where it is not known), and what torch says."""

    layer: str
    reason: str


@dataclass(frozen=True)
class Probes:
    """Runs the model under test again, for what one recording does not show.

    ``record`` is ``trace`` for this model, with other ``inputs`` or another mode where the call says so.
    """

    model: Any
    inputs: Any
    kwargs: Mapping[str, Any] | None = None
    device: str = "auto"
    train: bool = False
    _known: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    def record(self, **changed: Any) -> Any:
        """The trace of the model, called otherwise."""
        from pytest_archcheck.recording import trace

        return trace(self.model, **{**self._call, **changed})

    def gradients(self) -> Gradients:
        """The gradients of the model."""
        from pytest_archcheck.recording.gradients import gradients

        known: Gradients = self._once("gradients", lambda: gradients(self.model, **self._call))
        return known

    def dependence(self, across: str, dim: int = 0) -> tuple[Dependence, ...]:
        """What depends on what it must not; see ``recording.dependence``."""
        from pytest_archcheck.recording.dependence import dependence

        known: tuple[Dependence, ...] = self._once(
            f"{across} {dim}", lambda: dependence(self.model, across=across, dim=dim, **self._call)
        )
        return known

    def record_as(self, dtype: str, *, autocast: bool) -> Any:
        """The trace of the model in another floating dtype, or under an autocast to it."""
        from pytest_archcheck.recording.otherwise import record_as

        return record_as(self.model, dtype=dtype, autocast=autocast, **self._call)

    def initial_faults(self) -> Mapping[str, str]:
        """What is wrong with the values that parameters begin with; see ``recording.otherwise.initial_faults``."""
        from pytest_archcheck.recording.otherwise import initial_faults

        return initial_faults(self.model)

    def refusals(self, by: str) -> tuple[Refusal, ...]:
        """Why torch does not export or compile the model; see ``recording.otherwise.refusals``."""
        from pytest_archcheck.recording.otherwise import refusals

        return refusals(self.model, by=by, **self._call)

    def _once(self, key: str, run: Callable[[], Any]) -> Any:
        if key not in self._known:
            self._known[key] = run()
        return self._known[key]

    @property
    def _call(self) -> dict[str, Any]:
        return {"inputs": self.inputs, "kwargs": self.kwargs, "device": self.device, "train": self.train}
