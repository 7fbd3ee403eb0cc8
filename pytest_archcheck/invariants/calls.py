"""``arch_shapes_for`` and ``arch_mode_parity``: the model under test, called otherwise."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import product

from pytest_archcheck.errors import RecordingError, UsageError
from pytest_archcheck.inputs import Spec, is_shape
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.invariants.shapes import Dim, Shape, checked_shape, mismatch, shape_text
from pytest_archcheck.invariants.terms import Term
from pytest_archcheck.records import LayerCall, Module, lineage
from pytest_archcheck.traces import Trace

_DROPPED = ("Dropout", "DropPath", "StochasticDepth", "DropBlock")
_NORMS = ("Norm",)


class ShapesFor:
    """The shape contract holds for other sizes: ``ShapesFor("B 3 H W", "B 1000", B=(1, 3), H=(224, 256), W=224)``.

    The first text is the shape of the model's only positional input, the second that of its main output; names stand
    for the sizes that the keywords give. All combinations are recorded, on meta where that works; a name in the output
    that no keyword gives may be any size, and a term like ``H/32`` or ``ceil(H/32)`` is worked out (see ``terms``).

    Raises:
        UsageError: a shape is none, or a name of the input has no sizes.
    """

    def __init__(self, inputs: str, output: str, /, **sizes: int | Sequence[int]) -> None:
        self.inputs, self.output = checked_shape(_parsed(inputs)), _parsed_output(output)
        names = [dim for dim in self.inputs if isinstance(dim, str)]
        if ... in self.inputs:
            raise UsageError(
                f"{inputs!r}: the shape of an input is whole; write every dimension", see="arch_shapes_for"
            )
        for name in names:
            if name not in sizes:
                raise UsageError(
                    f"{name} in {inputs!r} has no sizes; write {name}=(…)", see="arch_shapes_for"
                )
        for name, size in sizes.items():
            if name not in names:
                raise UsageError(
                    f"{name}={size!r}: the input {inputs!r} has no {name}; leave it out, or name the dimension",
                    see="arch_shapes_for",
                )
        for term in self.output:
            unknown = term.names - set(names) if isinstance(term, Term) else ()
            if unknown:
                raise UsageError(
                    f"{term} in {output!r}: the input {inputs!r} has no {min(unknown)}; name a dimension that it has",
                    see="arch_shapes_for",
                )
        self.sizes = {name: _sizes(name, sizes[name]) for name in dict.fromkeys(names)}
        for bound in self._combinations():
            self._output_for(bound)

    def claims(self) -> Mapping[str, object]:
        """The contract."""
        return {f"shape of the output for {shape_text(self.inputs)}": tuple(map(str, self.output))}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each combination of sizes that has another output, or cannot run."""
        probes = context.probe("arch_shapes_for")
        dtype = _dtype_of(probes.inputs)
        for bound in self._combinations():
            expected = self._output_for(bound)
            shape = tuple(bound.get(dim, dim) if isinstance(dim, str) else dim for dim in self.inputs)
            given: object = shape if dtype is None else Spec(shape, *dtype)  # type: ignore[arg-type]
            where = f"input {shape_text(shape)}"
            try:
                found = probes.record(inputs=given).output.shape
            except RecordingError as error:
                yield Violation(where, shape_text(expected), "the forward fails", _cause(error), _ADVICE)
                continue
            names = Context(values={name: (size, "the input") for name, size in bound.items()})
            why = mismatch(expected, found, names, "the output")
            if why:
                yield Violation(where, shape_text(expected), shape_text(found), why, _ADVICE)

    def _combinations(self) -> Iterator[dict[str, int]]:
        for combination in product(*self.sizes.values()):
            yield dict(zip(self.sizes, combination, strict=True))

    def _output_for(self, sizes: Mapping[str, int]) -> Shape:
        """The shape of the output with its terms worked out."""
        return tuple(dim.at(sizes) if isinstance(dim, Term) else dim for dim in self.output)


_ADVICE = "mend the model, or state the sizes that it takes"


def _parsed(text: object) -> tuple[Dim, ...]:
    if not isinstance(text, str) or not text.split():
        raise UsageError(f'a shape is text like "B 3 H W", not {text!r}', see="arch_shapes_for")
    words = text.replace(",", " ").split()
    return tuple(... if w == "..." else int(w) if w.isdigit() else w for w in words)


def _parsed_output(text: object) -> tuple[Dim | Term, ...]:
    """The same, of which what is neither a number nor a name is a term."""
    dims = _parsed(text)
    is_term = [isinstance(dim, str) and not dim.isidentifier() for dim in dims]
    checked_shape(tuple(dim for dim, term in zip(dims, is_term, strict=True) if not term))
    return tuple(Term(str(dim)) if term else dim for dim, term in zip(dims, is_term, strict=True))


def _sizes(name: str, sizes: object) -> tuple[int, ...]:
    found = (sizes,) if type(sizes) is int else sizes
    if not isinstance(found, tuple | list) or not found or not all(type(s) is int and s > 0 for s in found):
        raise UsageError(
            f"{name}={sizes!r}: give a size or several, as in {name}=(1, 3)", see="arch_shapes_for"
        )
    return tuple(found)


def _dtype_of(inputs: object) -> tuple[object, ...] | None:
    """Dtype and range of the only positional input, ``None`` where the model's own dtype will do.

    Raises:
        UsageError: there are several inputs, or it is no tensor.
    """
    if is_shape(inputs):
        return None
    only = inputs[0] if isinstance(inputs, tuple) and len(inputs) == 1 else inputs
    if is_shape(only):
        return None
    if isinstance(only, Spec):
        return (only.dtype, only.low, only.high)
    dtype = getattr(only, "dtype", None)
    if dtype is None:
        raise UsageError(
            "arch_shapes_for is for models with one positional input, a tensor; this one has others; "
            "state sizes of it by several tests with @arch",
            see="arch_shapes_for",
        )
    name = str(dtype).removeprefix("torch.")
    return (name, None, None) if name.startswith(("float", "bfloat")) else (name, 0, int(only.max()) + 1)  # type: ignore[union-attr]


def _cause(error: RecordingError) -> str:
    lines = [line.strip() for line in str(error).splitlines()]
    return next(
        (
            f"{lines[0]}: {line.partition(':')[2].strip()}"
            for line in lines
            if line.startswith(("torch:", "raised:"))
        ),
        lines[0],
    )


class ModeParity:
    """Training and evaluation mode run the same layers, but for dropout, norms and auxiliary heads."""

    def __init__(self) -> None:
        pass

    def claims(self) -> Mapping[str, object]:
        """Nothing that another mark could contradict."""
        return {}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for what runs in one mode only, and for each layer with another output."""
        other: Trace = context.probe("arch_mode_parity").record(train=not trace.training)
        train, evaluation = (trace, other) if trace.training else (other, trace)
        heads = {name for t in (train, evaluation) for head in t.auxiliary_heads for name in head.layers}
        for one, another, mode in ((train, evaluation, "training"), (evaluation, train, "evaluation")):
            missing = [
                call
                for call in one.layers
                if call.id not in another and not _is_exempt(call.module) and not _is_in(heads, call)
            ]
            names = {call.name for call in missing}
            outermost = [call for call in missing if names.isdisjoint(lineage(call.name)[1:-1])]
            for call in outermost:
                yield Violation(
                    call.id,
                    "the same in both modes",
                    f"runs in {mode} mode only",
                    "",
                    "mend the forward, so that both modes call it",
                )
        yield from _other_shapes(train, evaluation)


def _other_shapes(train: Trace, evaluation: Trace) -> Iterator[Violation]:
    for call in train.layers:
        twin = evaluation.by_id.get(call.id)
        if not isinstance(twin, LayerCall) or not (call.outputs and twin.outputs):
            continue
        if call.output.shape != twin.output.shape:
            yield Violation(
                call.id,
                "the same output in both modes",
                f"{shape_text(call.output.shape)} in training, {shape_text(twin.output.shape)} in evaluation",
                "",
                "mend the forward, so that the mode changes no shape",
            )
            return


def _is_in(heads: Collection[str], call: LayerCall) -> bool:
    """Whether a call is one of an auxiliary head, or holds one."""
    return call.id in heads or any(head.startswith(f"{call.name}.") for head in heads)


def _is_exempt(module: Module) -> bool:
    name = module.type.rpartition(".")[2]
    return (
        name.startswith(_DROPPED) or name.endswith(("Dropout", "DropPath")) or any(n in name for n in _NORMS)
    )
