"""A trace in normal form: what is computed from what, without names, module boundaries and the moving of elements.

Two implementations of one architecture have the same normal form up to the order of its vertices: modules and
functions have one spelling (``spellings``), views, reshapes, permutations and splits are index maps on the operands
(``layouts``), self-attention is its two projections and the attention between them, a dropout of 0 and an identity are
nothing, and parameters are told apart by who uses them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache

from pytest_archcheck.graph.layouts import Layout, contiguous, moves
from pytest_archcheck.matching.spellings import Spelled, spelled
from pytest_archcheck.records import Call, LayerCall, Op, Ref, input_refs
from pytest_archcheck.traces import Trace

_COMMUTATIVE = {"add", "mul"}
_BROADCAST = -1
"""All dimensions matter but leading ones of size 1."""
_ELEMENTWISE = {
    "add",
    "mul",
    "sub",
    "div",
    "relu",
    "relu6",
    "gelu",
    "silu",
    "sigmoid",
    "tanh",
    "mish",
    "hardswish",
}
_IGNORED = {"query", "key", "value", "average_attn_weights"}


@dataclass(frozen=True, slots=True)
class Operand:
    """What a vertex takes: output ``index`` of vertex ``source``, of the shape ``behind``, arranged as ``layout`` says.

    Where a computation treats positions alike (an activation, a linear layer), how they are grouped into dimensions is
    left out: a feature map and its flattened rows are the same to it.
    """

    role: str
    source: int
    index: int
    layout: str
    behind: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Vertex:
    """An input of the model, a tensor of its state, or one computation."""

    kind: str
    name: str
    function: str
    settings: dict[str, str]
    operands: tuple[Operand, ...] = ()
    made: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Dtype and shape of its results: an argument may say them, or the dtype that it computes in."""

    @property
    def commutative(self) -> bool:
        """Whether its operands may stand in any order."""
        return self.function in _COMMUTATIVE and not self.settings


@dataclass(eq=False)
class NormalForm:
    """Vertices in an order in which operands come first, and what the model returns."""

    vertices: list[Vertex] = field(default_factory=list)
    outputs: list[Operand] = field(default_factory=list)


def normal_form(trace: Trace) -> NormalForm:
    """The normal form of a trace."""
    return _Builder(trace).form


class _Builder:
    def __init__(self, trace: Trace) -> None:
        self.form = NormalForm()
        self.training = trace.training
        self.values: dict[tuple[str, int], tuple[int, int, Layout]] = {}
        self.shapes: dict[tuple[int, int], tuple[int, ...]] = {}
        """The shape of each tensor as it was made, by vertex and output."""
        self.used = {ref for call in trace.calls for ref in input_refs(call)}
        self.used |= {output.source for output in trace.outputs}
        self.state = {f"{tensor.kind}:{tensor.name}": tensor for tensor in trace.state}
        for number, spec in enumerate(trace.inputs):
            settings = {"shape": str(list(spec.shape)), "dtype": spec.dtype}
            at = self._add(Vertex("input", f"in:{spec.path}", f"input {number}", settings))
            self._made(f"in:{spec.path}", at, (spec.shape,))
        for call in trace.calls:
            if not (isinstance(call, LayerCall) and not call.atomic):
                self._call(call)
        for number, output in enumerate(trace.outputs):
            self.form.outputs.append(self._operand(f"output {number}", output.source))

    def _add(self, vertex: Vertex) -> int:
        self.form.vertices.append(vertex)
        return len(self.form.vertices) - 1

    def _value(self, ref: Ref) -> tuple[int, int, Layout]:
        """Where a tensor is made; a tensor of the state becomes a vertex when it is first used."""
        key = (ref.name, ref.index)
        if key not in self.values:
            tensor = self.state[ref.name]
            if tensor.tied_to is not None:
                first = next(t for t in self.state.values() if t.name == tensor.tied_to)
                self.values[key] = self._value(Ref(f"{first.kind}:{first.name}"))
            else:
                settings = {"shape": str(list(tensor.spec.shape)), "dtype": tensor.spec.dtype}
                settings |= {"trainable": str(tensor.trainable), "saved": str(tensor.saved)}
                at = self._add(Vertex("state", tensor.name, tensor.kind, settings))
                self._made(ref.name, at, (tensor.spec.shape,))
        return self.values[key]

    def _operand(self, role: str, ref: Ref, kept: int | None = None) -> Operand:
        return self._arranged(role, *self._value(ref), kept)

    def _arranged(
        self, role: str, source: int, index: int, layout: Layout, kept: int | None = None
    ) -> Operand:
        return Operand(role, source, index, _text(layout, kept), self.shapes[source, index])

    def _made(self, name: str, at: int, shapes: Iterable[tuple[int, ...]]) -> None:
        """A vertex's outputs, as they were made, under the name of the call or tensor."""
        for number, shape in enumerate(shapes):
            self.shapes[at, number] = shape
            self.values[name, number] = (at, number, contiguous(shape))

    def _call(self, call: Call) -> None:
        first = next(input_refs(call), None)
        if first is not None and not _is_a_barrier(call):
            source, index, before = self._value(first)
            after = [moves(call, number, before) for number in range(len(call.outputs))]
            if after and all(layout is not None for layout in after):
                for number, layout in enumerate(after):
                    assert layout is not None
                    self.values[call.id, number] = (source, index, layout)
                return
        if isinstance(call, LayerCall) and call.type == "MultiheadAttention" and self._attention(call):
            return
        said = self._without_unused(call, spelled(call))
        if _is_nothing(said):
            self.values[call.id, 0] = self._value(said.tensors[0][1])
            return
        self._compute(call, said)

    def _without_unused(self, call: Call, said: Spelled) -> Spelled:
        """Whether attention gives its weights does not matter where nobody takes them."""
        if said.function != "MultiheadAttention" or Ref(call.id, 1) in self.used:
            return said
        kept = {k: v for k, v in said.settings.items() if k not in ("need_weights", "average_attn_weights")}
        return Spelled(said.function, kept, said.tensors)

    def _compute(self, call: Call, said: Spelled) -> None:
        settings, tensors = said.settings, list(said.tensors)
        if settings.get("training") == str(self.training):
            settings = {key: value for key, value in settings.items() if key != "training"}
        if said.function == "batch_norm":
            tensors += self._count_of(tensors)
        kept = _dimensions_that_matter(call, said)
        operands = tuple(
            self._operand(role, ref, None if ref.name in self.state and kept != _BROADCAST else kept)
            for role, ref in tensors
        )
        made = tuple((spec.dtype, spec.shape) for spec in call.outputs)
        at = self._add(Vertex("call", call.id, said.function, settings, operands, made))
        self._made(call.id, at, (spec.shape for spec in call.outputs))

    def _count_of(self, tensors: list[tuple[str, Ref]]) -> list[tuple[str, Ref]]:
        """A batch norm's count of batches belongs to it, also where it is called as a function."""
        if any(role == "num_batches_tracked" for role, _ in tensors):
            return []
        mean = next((ref.name for role, ref in tensors if role == "running_mean"), "")
        name = f"{mean.removesuffix('running_mean')}num_batches_tracked"
        return [("num_batches_tracked", Ref(name))] if mean and name in self.state else []

    def _attention(self, call: LayerCall) -> bool:
        """Self-attention as a linear layer, attention over heads, and a linear layer; ``False`` for any other."""
        queries = list(input_refs(call))
        heads, width = call.config.get("num_heads"), call.inputs[0].shape[-1]
        weight = f"param:{call.name}.in_proj_weight"
        is_plain = len(queries) == 3 and len(set(queries)) == 1 and len(call.inputs[0].shape) == 3
        extra = call.config.get("add_zero_attn") or f"param:{call.name}.bias_k" in self.state
        asked = any(value for key, value in call.kwargs.items() if key not in ("need_weights", *_IGNORED))
        if asked or Ref(call.id, 1) in self.used or type(heads) is not int:
            return False
        if not is_plain or extra or weight not in self.state:
            return False
        batch_first = bool(call.config.get("batch_first"))
        batch, length = call.inputs[0].shape[:2] if batch_first else call.inputs[0].shape[1::-1]
        operands = [self._operand("input", queries[0], 1), self._operand("weight", Ref(weight))]
        operands += self._bias(f"{call.name}.in_proj_bias")
        projected = self._add(Vertex("call", call.id, "linear", {}, tuple(operands)))
        self.shapes[projected, 0] = (*call.output.shape[:2], 3 * width)
        size, settings = width // heads, {}
        if call.config.get("dropout") and self.training:
            settings["dropout_p"] = str(call.config["dropout"])
        row, step = (length * 3 * width, 3 * width) if batch_first else (3 * width, batch * 3 * width)
        parts = []
        for number, role in enumerate(("input", "key", "value")):
            dims = (((batch, row),), ((heads, size),), ((length, step),), ((size, 1),))
            layout = Layout(tuple(dim if dim[0][0] > 1 else () for dim in dims), number * width)
            parts.append(self._arranged(role, projected, 0, layout))
        attended = self._add(Vertex("call", call.id, "scaled_dot_product_attention", settings, tuple(parts)))
        self.shapes[attended, 0] = made = (batch, heads, length, size)
        across = contiguous(made).dims
        leading = (across[0], across[2]) if batch_first else (across[2], across[0])
        layout = Layout((*leading, (*across[1], *across[3])))
        operands = [self._arranged("input", attended, 0, layout, 1)]
        operands += [self._operand("weight", Ref(f"param:{call.name}.out_proj.weight"))]
        operands += self._bias(f"{call.name}.out_proj.bias")
        at = self._add(Vertex("call", call.id, "linear", {}, tuple(operands)))
        self._made(call.id, at, (call.output.shape,))
        return True

    def _bias(self, name: str) -> list[Operand]:
        ref = Ref(f"param:{name}")
        return [self._operand("bias", ref)] if ref.name in self.state else []


@lru_cache(maxsize=4096)
def _text(layout: Layout, kept: int | None) -> str:
    """The layout as text, all dimensions but the last ``kept`` as one; ``None`` keeps all."""
    if kept == _BROADCAST:
        layout = layout.grouped(len(layout.dims) - next((i for i, dim in enumerate(layout.dims) if dim), 0))
    elif kept is not None and kept <= len(layout.dims):
        layout = layout.grouped(kept)
    return str(layout)


def _dimensions_that_matter(call: Call, said: Spelled) -> int | None:
    """How many of the last dimensions a computation tells apart: 1 for a linear layer, 0 for an activation."""
    if said.function in _ELEMENTWISE:
        shapes = {spec.shape for spec in call.inputs}
        return 0 if shapes == {call.output.shape} else _BROADCAST
    if said.function == "embedding":
        return 0
    if said.function == "linear":
        return 1
    if said.function in ("layer_norm", "rms_norm"):
        return len(re.findall(r"\d+", said.settings.get("normalized_shape", "")))
    return None


def _is_nothing(said: Spelled) -> bool:
    """A dropout of 0, or a padding by 0."""
    if said.function == "pad":
        return re.fullmatch(r"\((0(, )?)+,?\)", said.settings.get("pad", "")) is not None
    return said.function == "dropout" and said.settings.get("p") in ("0", "0.0")


def _is_a_barrier(call: Call) -> bool:
    """``detach`` moves nothing and stops the gradient."""
    return isinstance(call, Op) and call.function == "detach"
