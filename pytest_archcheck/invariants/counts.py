"""``arch_params``, ``arch_macs``, ``arch_flops``, ``arch_size`` and ``arch_activations``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

from pytest_archcheck.costs.counters import RUNNING, known_counter
from pytest_archcheck.costs.parameters import state_bytes_per_module
from pytest_archcheck.costs.quantities import Quantity, Stated, quantity
from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.invariants.numbers import Measured, Number, judged
from pytest_archcheck.traces import Trace


@dataclass(frozen=True)
class Params(Number):
    """Parameters in total or by module, those that are trainable, or limits; tied ones count once.

    Raises:
        UsageError: nothing is stated, or something that is no number.
    """

    unit: ClassVar[str] = "parameters"

    trainable: Stated | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.trainable is not None:
            quantity(self.trainable)

    def claims(self) -> Mapping[str, object]:
        """Those of every number, and the trainable ones by themselves."""
        trainable = {} if self.trainable is None else {"trainable parameters": self.trainable}
        return {**super().claims(), **trainable}

    def measure(self, trace: Trace, context: Context) -> Measured:
        """Elements of the parameters."""
        return Measured(trace.params.total, trace.params.per_module)

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each number that is not as stated."""
        yield from super().check(trace, context)
        if self.trainable is not None:
            found = trace.params.trainable
            shown = f"{found:,} of {trace.params.total:,}"
            yield from judged(found, quantity(self.trainable), "trainable parameters", shown)


@dataclass(frozen=True)
class Macs(Number):
    """Multiply-accumulates of one forward, in total or by module.

    ``counter`` is the way of counting (by default ``"macs"``), see ``costs.counters``; ``"ptflops"``,
    ``"ptflops-aten"`` and ``"torch"`` run the model themselves and tell a total only.

    Raises:
        UsageError: nothing is stated, something that is no number, or there is no such counter.
    """

    unit: ClassVar[str] = "MACs"
    factor: ClassVar[int] = 1

    counter: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        if self.counter is not None:
            known_counter(self.counter)
        if self.counter == "flops":
            raise UsageError('counter="flops" counts 2 × MACs; state it by arch_flops', see="arch_flops")
        if self.counter in RUNNING and isinstance(self.total, Mapping):
            raise UsageError(
                f'counter="{self.counter}" tells a total only; state modules without it', see="arch_macs"
            )
        super().__post_init__()

    @property
    def subject(self) -> str:
        """The unit, and by which counter where it is not ours."""
        return self.unit if self.counter in (None, "macs") else f"{self.unit} by {self.counter}"

    def measure(self, trace: Trace, context: Context) -> Measured:
        """The count, with what it left out."""
        counter = self.counter or "macs"
        if counter in RUNNING:
            return Measured(self.factor * context.count(counter).total)
        count = trace.count(counter)
        per_module = {name: self.factor * macs for name, macs in count.per_module.items()}
        return Measured(self.factor * count.total, per_module, count.incomplete)


@dataclass(frozen=True)
class Flops(Macs):
    """Floating-point operations of one forward, which are 2 × MACs here.

    Raises:
        UsageError: nothing is stated, something that is no number, or there is no such counter.
    """

    unit: ClassVar[str] = "FLOPs"
    factor: ClassVar[int] = 2

    def why(self, found: int, wanted: Quantity) -> str:
        """Who stated the MACs by mistake is told so."""
        is_macs = wanted.relation == "=" and found and wanted.allows(found // 2)
        return "the number stated is the MACs; a FLOP count is 2 × MACs" if is_macs else ""


class _Bytes(Number):
    """A number of bytes, shown in MiB (2²⁰ bytes), which is also what a bare number counts in."""

    bare: ClassVar[int] = 2**20

    def shown(self, number: int) -> str:
        """In a unit of its size, and in bytes."""
        unit, size = ("MiB", 2**20) if number >= 2**20 else ("KiB", 2**10)
        return f"{number / size:.2f} {unit} ({number:,} bytes)"


@dataclass(frozen=True)
class Size(_Bytes):
    """Size of the saved state in MiB, in total or by module; a total without a tolerance is within 0.5 %.

    Counted are the tensors that the state dict saves; a file adds its own headers, which is what the tolerance is for.

    Raises:
        UsageError: nothing is stated, or something that is no number.
    """

    unit: ClassVar[str] = "of saved state"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.rel is None and self.abs is None:
            object.__setattr__(self, "rel", 0.005)

    def measure(self, trace: Trace, context: Context) -> Measured:
        """Bytes of the saved tensors."""
        return Measured(trace.size, state_bytes_per_module(trace.state))


@dataclass(frozen=True)
class ActivationPeak(_Bytes):
    """The most bytes of activations that are alive at once in one forward, estimated; see ``costs.activations``.

    Raises:
        UsageError: nothing is stated, or something that is no number.
    """

    unit: ClassVar[str] = "of activations at the estimated peak"

    def __post_init__(self) -> None:
        if isinstance(self.total, Mapping):
            raise UsageError(
                "a peak is the whole model's; give a number, at_most=… or at_least=…; "
                "bytes by layer are in trace.activations.per_call",
                see="arch_activations",
            )
        super().__post_init__()

    def measure(self, trace: Trace, context: Context) -> Measured:
        """The estimated peak."""
        return Measured(trace.activations.peak)

    def evidence(self, trace: Trace) -> tuple[str, ...]:
        """What was alive then, and while what ran."""
        largest = list(trace.activations.alive.items())[:_ALIVE_SHOWN]
        alive = (f"{self.shown(size)} made by {name}" for name, size in largest)
        return (f"alive while {trace.activations.peak_at} ran:", *alive)


_ALIVE_SHOWN = 5
