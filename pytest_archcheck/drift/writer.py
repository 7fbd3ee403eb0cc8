"""Write a trace as ``.arch`` text: one line for each thing, so that one change is one changed line.

``docs/format.md`` specifies the format. What follows ``  # `` is for the reader and is computed anew on reading.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeGuard

from pytest_archcheck.collector import collector_off
from pytest_archcheck.drift.defaults import DEFAULTS
from pytest_archcheck.records import Call, LayerCall, Module, Ref, StateTensor, Symbol, TensorSpec, Value
from pytest_archcheck.traces import Trace

FORMAT_VERSION = 1
COMMENT = "  # "
SECTION_INDENT = "  "

_PLAIN_NAME = re.compile(r"[\w.\-:][\w.\-#:]*")
_PLAIN_SYMBOL = re.compile(r"[A-Za-z_][\w.]*")
_KEYWORDS = {
    "archcheck",
    "model",
    "output",
    "module",
    "param",
    "buffer",
    "packed",
    "const",
    "opaque",
    "section",
    "end",
}
_RESERVED = {"None", "True", "False", "inf", "nan"}


@collector_off()
def write(trace: Trace, *, derived: bool = True) -> str:
    """The canonical text of a trace; ``derived`` adds what is not the record: costs as comments, unknown sections."""
    return "\n".join(_lines(trace, derived)) + "\n"


def _lines(trace: Trace, derived: bool) -> Iterator[str]:
    yield f"archcheck {FORMAT_VERSION}"
    mode = "train" if trace.training else "eval"
    yield f"model {name_text(trace.model.type)}{config_text(trace.model)} {mode}"
    for spec in trace.inputs:
        yield f"{name_text(f'in:{spec.path}')} {spec_text(spec)}"
    for call in trace.calls:
        yield call_text(call, derived=derived)
    for output in trace.outputs:
        path = f" {name_text(output.path)}" if output.path else ""
        yield f"output{path} {value_text(output.source)} {spec_text(output)}"
    called = {call.name for call in trace.layers}
    for module in trace.modules[1:]:
        if module.same_as is not None:
            yield f"module {name_text(module.name)} = {name_text(module.same_as or '.')}"
        elif module.name not in called:
            yield f"module {name_text(module.name)} {name_text(module.type)}{config_text(module)}"
    for tensor in trace.state:
        yield state_text(tensor)
    if derived:
        yield _totals(trace)
        for section in trace.sections:
            yield f"section {name_text(section.title)}"
            yield from (f"{SECTION_INDENT}{line}".rstrip() for line in section.lines)
    yield "end"


def call_text(call: Call, *, derived: bool) -> str:
    """The line of one call."""
    if isinstance(call, LayerCall):
        head = f"{name_text(call.id)} {name_text(call.type)}{config_text(call.module)}"
        if call.sources is None:
            made = [spec_text(spec) for spec in call.outputs]
        else:
            pairs = zip(call.sources, call.outputs, strict=True)
            made = [f"{value_text(source)} {spec_text(spec)}" for source, spec in pairs]
    else:
        head = name_text(call.id)
        made = [spec_text(spec) for spec in call.outputs]
    line = f"{head}{_arguments(call.args, call.kwargs)} -> {' '.join(made)}".rstrip()
    return line + _costs(call) if derived else line


def state_text(tensor: StateTensor) -> str:
    """The line of one parameter, buffer or other tensor."""
    line = f"{tensor.kind} {name_text(tensor.name)} {spec_text(tensor.spec)}"
    if tensor.kind == "param" and not tensor.trainable:
        line += " frozen"
    if tensor.kind in ("param", "buffer") and not tensor.saved:
        line += " unsaved"
    if tensor.stored is not None:
        line += f" stored {tensor.stored}"
    if tensor.tied_to is not None:
        line += f" = {name_text(tensor.tied_to)}"
    return line


def config_text(module: Module) -> str:
    """``(kernel_size=(7, 7), …)``; the frozen defaults of ``torch.nn``'s modules are left out."""
    defaults = DEFAULTS.get(module.type, {})
    shown = {
        key: value
        for key, value in module.config.items()
        if key not in defaults or not same_value(value, defaults[key])
    }
    return _arguments((), shown)


def same_value(first: Value, second: Value) -> bool:
    """Equality that tells ``1`` from ``True`` and ``1.0``, as the text does."""
    return value_text(first) == value_text(second)


def spec_text(spec: TensorSpec) -> str:
    """``[1,64,56,56]``, or with any dtype but float32 ``int64[1,128]``."""
    dtype = "" if spec.dtype == "float32" else spec.dtype
    return f"{dtype}[{','.join(map(str, spec.shape))}]"


def name_text(name: str) -> str:
    """A name as it is; quoted where it is a keyword or holds more than letters, digits and ``_ . - # :``."""
    plain = _PLAIN_NAME.fullmatch(name) and name not in _KEYWORDS
    return name if plain else json.dumps(name, ensure_ascii=False)


def value_text(value: Value) -> str:
    """One spelling for each value, which the reader turns back into it."""
    writer = _WRITERS.get(type(value))
    if writer is not None:
        return writer(value)
    if isinstance(value, Mapping):
        if _is_slice(value):
            return f"slice{_tuple_text(value['slice'])}"
        inner = (f"{json.dumps(key)}: {value_text(item)}" for key, item in value.items())
        return "{" + ", ".join(inner) + "}"
    raise TypeError(f"{type(value).__name__} is no value of a record")


def _is_slice(value: Mapping[str, Value]) -> TypeGuard[Mapping[Literal["slice"], tuple[Value, ...]]]:
    parts = value.get("slice")
    return len(value) == 1 and isinstance(parts, tuple) and len(parts) == 3


def _tuple_text(value: tuple[Value, ...]) -> str:
    inner = ", ".join(value_text(item) for item in value)
    return f"({inner},)" if len(value) == 1 else f"({inner})"


def _ref_text(ref: Ref) -> str:
    index = f"@{ref.index}" if ref.index else ""
    return f"%{name_text(ref.name)}{index}"


def _symbol_text(symbol: Symbol) -> str:
    plain = _PLAIN_SYMBOL.fullmatch(symbol.name) and symbol.name not in _RESERVED
    return symbol.name if plain else "`" + re.sub(r"[`\n\r]", "'", symbol.name) + "`"


_WRITERS: dict[type, Callable[..., str]] = {
    bool: repr,
    int: repr,
    float: repr,
    type(None): repr,
    str: lambda value: json.dumps(value, ensure_ascii=False),
    tuple: _tuple_text,
    Ref: _ref_text,
    Symbol: _symbol_text,
}


def _arguments(args: tuple[Value, ...], kwargs: Mapping[str, Value]) -> str:
    parts = [value_text(value) for value in args]
    parts += [f"{name_text(key)}={value_text(value)}" for key, value in kwargs.items()]
    return f"({', '.join(parts)})"


def _costs(call: Call) -> str:
    parts = []
    if isinstance(call, LayerCall) and call.params.total:
        parts.append(f"params {call.params.total}")
    if isinstance(call, LayerCall) and not call.atomic:
        pass
    elif call.macs is None:
        parts.append("macs not counted")
    elif call.macs:
        parts.append(f"macs {call.macs}")
    return COMMENT + " ".join(parts) if parts else ""


def _totals(trace: Trace) -> str:
    params = trace.params
    return (
        f"# total params {params.total} trainable {params.trainable} buffers {params.buffers} "
        f"macs {trace.macs} ({trace.status}) depth.paper {trace.depth('paper')}"
    )
