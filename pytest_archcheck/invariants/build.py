"""``arch_dtype``, ``arch_initialised`` and ``arch_exportable``: the model in another dtype, as built, as exported."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.invariants.patterns import checked_patterns, compiled, no_match
from pytest_archcheck.records import LayerCall
from pytest_archcheck.traces import Trace

_FLOATS, _WIDE = ("float", "bfloat", "complex"), ("float64", "complex128")
_PRODUCTS = ("Conv", "Linear", "conv", "linear", "matmul", "bmm", "mm")


class Dtype:
    """No layer gives another floating dtype than this one: ``Dtype("bfloat16")``.

    The model and its inputs are cast to it; what is worked out in a wider one inside of a layer has to come back before
    the layer returns. With ``autocast`` the model stays as it is and runs under an autocast to the dtype, where layers
    with matrix products have to give it. float64 is a violation wherever it is. ``allow`` names layers that may give
    another.

    Raises:
        UsageError: the dtype is no text, or ``allow`` is no sequence of patterns.
    """

    def __init__(self, dtype: str, *, autocast: bool = False, allow: Sequence[str] = ()) -> None:
        if not isinstance(dtype, str):
            raise UsageError(f'a dtype is its name, as in "bfloat16", not {dtype!r}', see="arch_dtype")
        if not isinstance(autocast, bool):
            raise UsageError(f"autocast is True or False, not {autocast!r}", see="arch_dtype")
        self.dtype, self.autocast, self.allow = dtype, autocast, checked_patterns(allow)

    def claims(self) -> Mapping[str, object]:
        """Nothing that another mark could contradict: a model may work in several."""
        return {}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for the first layer that gives another dtype, and for the first call that gives float64."""
        recorded: Trace = context.probe("arch_dtype").record_as(self.dtype, autocast=self.autocast)
        calls = [call for call in recorded.calls if call.outputs]
        names = [call.name for call in calls]
        for pattern in self.allow:
            if not any(map(compiled(pattern).fullmatch, names)):
                yield no_match(pattern, "a layer of that name", "none ran", "", names, "trace.layers")
        judged = [c for c in calls if not any(compiled(pattern).fullmatch(c.name) for pattern in self.allow)]
        wide = [c for c in judged if any(o.dtype in _WIDE for o in c.outputs) and self.dtype != "float64"]
        others = [c for c in judged if isinstance(c, LayerCall) and self._is_other(c) and c not in wide]
        under = f"under an autocast to {self.dtype}" if self.autocast else f"in {self.dtype}"
        for found, what in ((wide, "no float64"), (others, self.dtype)):
            if found:
                first = found[0]
                yield Violation(
                    first.id,
                    f"{what} {under}",
                    next(
                        o.dtype
                        for o in first.outputs
                        if o.dtype != self.dtype and o.dtype.startswith(_FLOATS)
                    ),
                    f"it is the first of {len(found)} calls" if len(found) > 1 else "",
                    f"cast it back, or name it in allow=({first.name!r},)",
                )

    def _is_other(self, call: LayerCall) -> bool:
        if self.autocast and not call.type.startswith(_PRODUCTS):
            return False
        return any(o.dtype.startswith(_FLOATS) and o.dtype != self.dtype for o in call.outputs)


class Initialised:
    """Every parameter is initialised, no matrix is constant, and every tensor is a parameter or a buffer.

    A factory is built once more, with memory that nothing initialises filled with NaN. ``allow`` names parameters that
    begin as a constant on purpose, and plain tensors that are meant to be none.

    Raises:
        UsageError: ``allow`` is no sequence of patterns.
    """

    def __init__(self, *, allow: Sequence[str] = ()) -> None:
        self.allow = checked_patterns(allow)

    def claims(self) -> Mapping[str, object]:
        """What is allowed."""
        return {"constant parameters": self.allow}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each parameter, and for each plain tensor."""
        faults = dict(context.probe("arch_initialised").initial_faults())
        plain = {t.name: "it is neither a parameter nor a buffer" for t in trace.state if t.kind == "const"}
        names = [tensor.name for tensor in trace.state]
        for pattern in self.allow:
            if not any(map(compiled(pattern).fullmatch, names)):
                yield no_match(pattern, "parameters of that name", "none", "", names, "trace.state")
        for name, fault in (faults | plain).items():
            if any(compiled(pattern).fullmatch(name) for pattern in self.allow):
                continue
            is_plain = name in plain
            yield Violation(
                name,
                "a parameter or a buffer" if is_plain else "initialised values",
                fault,
                "the state dict leaves it out, and .to() does not move it" if is_plain else "",
                f"{'use register_buffer' if is_plain else 'initialise it'}, or name it in allow=({name!r},)",
            )


class Exportable:
    """``torch.export`` and ``torch.compile(fullgraph=True)`` take the architecture; both, or the one that is stated.

    Raises:
        UsageError: neither is stated.
    """

    def __init__(self, *, export: bool = True, compile: bool = True) -> None:
        self.tried = [name for name, wanted in (("export", export), ("compile", compile)) if wanted is True]
        if not self.tried or not all(isinstance(wanted, bool) for wanted in (export, compile)):
            raise UsageError(
                f"export={export!r}, compile={compile!r}: give True or False; at least one of them is True",
                see="arch_exportable",
            )

    def claims(self) -> Mapping[str, object]:
        """Nothing that another mark could contradict."""
        return {}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for the failure of an export, and for each break of the graph, with its layer."""
        for by in self.tried:
            call = "torch.export" if by == "export" else "torch.compile(fullgraph=True)"
            for refusal in context.probe("arch_exportable").refusals(by):
                yield Violation(
                    refusal.layer or "the model",
                    f"one graph by {call}",
                    "the export fails" if by == "export" else "the graph breaks",
                    refusal.reason,
                    f"write it without a branch on values, or state the other alone, by {by}=False",
                )
