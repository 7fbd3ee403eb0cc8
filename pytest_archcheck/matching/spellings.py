"""One spelling for the modules of ``torch.nn`` and the functions that do the same: ``nn.ReLU()`` and ``F.relu(x)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction

from pytest_archcheck.matching.vocabulary import FUNCTIONS, MODULE_SETTINGS, OF_THE_STATE, SPELLINGS
from pytest_archcheck.records import Call, LayerCall, Op, Ref, Symbol, Value, refs_in


@dataclass(frozen=True, slots=True)
class Spelled:
    """A call in one spelling: the function, its settings as text, and its tensors by role.

    The first tensor has the role ``input``; those without a known role are numbered.
    """

    function: str
    settings: dict[str, str]
    tensors: tuple[tuple[str, Ref], ...]


def spelled(call: Call) -> Spelled:
    """The one spelling of an atomic layer call or an op."""
    layer = call if isinstance(call, LayerCall) else None
    function = call.function if isinstance(call, Op) else FUNCTIONS.get(call.type, call.type)
    spelling = SPELLINGS.get(function)
    names = ("input", *(spelling.order if spelling else ()))
    arguments = dict(zip(_places(names, len(call.args), layer), call.args, strict=True))
    arguments |= {_KEYWORDS.get(key, key) if layer else key: value for key, value in call.kwargs.items()}
    tensors = [pair for name, value in arguments.items() for pair in _tensors(name, value)]
    rest = {name: value for name, value in arguments.items() if shown(value) != "%"}
    if layer is not None:
        prefix = "" if layer.name == "." else f"{layer.name}."
        tensors += [(t.name.removeprefix(prefix), Ref(f"{t.kind}:{t.name}")) for t in layer.state]
        said_by_state = OF_THE_STATE.get(function, frozenset({"inplace"}))
        rest = {**{key: value for key, value in layer.config.items() if key not in said_by_state}, **rest}
        rest |= MODULE_SETTINGS.get(layer.type, {})
        if function == "pad":
            rest["pad"] = rest.pop("padding", None)
    function, settings = _settled(function, rest, call)
    return Spelled(function, settings, tuple(_ordered(tensors, function)))


def _places(names: tuple[str, ...], number: int, layer: LayerCall | None) -> list[str]:
    """The names of positional arguments; those of a layer are its forward's, not its function's."""
    known = names[:1] if layer is not None and "attn_mask" not in names else names
    return [known[place] if place < len(known) else f"argument {place + 1}" for place in range(number)]


def _tensors(role: str, value: Value) -> list[tuple[str, Ref]]:
    """The tensors in an argument, each with a role of its own."""
    found = list(refs_in(value))
    if len(found) == 1 and isinstance(value, Ref):
        return [(role, found[0])]
    return [(f"{role}.{place}", ref) for place, ref in enumerate(found)]


def default_of(function: str, setting: str) -> str:
    """The default of a function's setting as text; ``absent`` where it has none."""
    defaults = SPELLINGS[function].defaults if function in SPELLINGS else {}
    return shown(defaults[setting]) if setting in defaults else "absent"


def shown(value: Value) -> str:
    """A setting as text; tensors are numbered by the caller and shown as ``%``."""
    if isinstance(value, Ref):
        return "%"
    if isinstance(value, Symbol):
        return value.name
    if isinstance(value, tuple):
        inner = ", ".join(map(shown, value))
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) + "}"
    return repr(value)


def _settled(function: str, named: Mapping[str, Value], call: Call) -> tuple[str, dict[str, str]]:
    """Settings without defaults, and one spelling where there are several of one thing."""
    rank = len(call.inputs[0].shape) if call.inputs else 0
    sizes = named.get("output_size")
    if function.startswith("adaptive_avg_pool") and isinstance(sizes, tuple) and set(sizes) == {1}:
        return "mean", {"dim": shown(tuple(range(rank - len(sizes), rank)))}
    if function == "mean":
        dims = named.get("dim")
        dims = dims if isinstance(dims, tuple) else (dims,)
        axes = sorted(dim % rank for dim in dims if type(dim) is int and rank) or range(rank)
        return "mean", {"dim": shown(tuple(axes))}
    if function == "arange":
        return "arange", {"range": _range(named)}
    if function == "getitem" and "argument 2" in named:
        return "getitem", {"index": shown(_index(named["argument 2"], rank))}
    if "pool" in function and named.get("stride") in (None, ()):
        named = {**named, "stride": named.get("kernel_size")}
    if function == "scaled_dot_product_attention" and named.get("scale") is not None:
        usual = float(call.inputs[0].shape[-1]) ** -0.5
        named = {key: value for key, value in named.items() if key != "scale" or value != usual}
    if function == "hardtanh" and (named.get("min_val"), named.get("max_val")) == (0.0, 6.0):
        return "relu6", {}
    if function == "pad" and named.get("value") is None:
        named = {**named, "value": 0}
    if function == "interpolate":
        named = _interpolated(named, call)
    defaults = SPELLINGS[function].defaults if function in SPELLINGS else {}
    settings = {
        key: shown(_axis(value, rank) if key in _AXES else value)
        for key, value in named.items()
        if not (key in defaults and _equal(value, defaults[key]))
        and (value is not None or key not in _TENSORS)
    }
    return function, settings


def _interpolated(named: Mapping[str, Value], call: Call) -> dict[str, Value]:
    """The size by the shapes: a factor, a size and a size for each axis are one thing where they agree.

    A factor that does not meet the size (1.5 of 5 pixels) is what torch computes with, and not the quotient of sizes.
    """
    before, after = call.inputs[0].shape[2:], call.outputs[0].shape[2:]
    kept = {key: value for key, value in named.items() if key in ("mode", "align_corners", "antialias")}
    kept["align_corners"] = bool(kept.get("align_corners"))
    scales = [Fraction(new, old) if old else Fraction(0) for old, new in zip(before, after, strict=True)]
    factor = named.get("scale_factor")
    if factor is not None and not named.get("recompute_scale_factor"):
        factors = factor if isinstance(factor, tuple) else (factor,) * len(scales)
        if [Fraction(f) if isinstance(f, int | float) else None for f in factors] != scales:
            kept["scale_factor"] = factor
    return {"mode": "nearest", **kept, "scale": Symbol("×".join(map(str, scales)))}


def _index(index: Value, rank: int) -> Value:
    """An index with a part for each dimension that it names: ``x[..., 2]`` of a matrix is ``x[:, 2]``."""
    parts = tuple(map(_slice, index if isinstance(index, tuple) else (index,)))
    if not all(
        part is None or type(part) is int or part == _ELLIPSIS or isinstance(part, dict) for part in parts
    ):
        return index
    if _ELLIPSIS in parts:
        at = parts.index(_ELLIPSIS)
        given = sum(part is not None for part in parts) - 1
        parts = (*parts[:at], *(_ALL,) * (rank - given), *parts[at + 1 :])
    while parts and parts[-1] == _ALL:
        parts = parts[:-1]
    return parts


def _slice(part: Value) -> Value:
    """``0:3:1`` is ``:3``."""
    ends = part.get("slice") if isinstance(part, dict) else None
    if not isinstance(ends, tuple):
        return part
    start, stop, step = ends
    return {"slice": (None if start == 0 else start, stop, None if step == 1 else step)}


def _range(named: Mapping[str, Value]) -> str:
    """Start, end and step of ``arange``, which has one, two or three positional arguments."""
    given = [value for key, value in named.items() if key == "input" or key.startswith("argument")]
    start = given[0] if len(given) > 1 else named.get("start", 0)
    end = given[1] if len(given) > 1 else named.get("end", given[0] if given else None)
    step = given[2] if len(given) > 2 else named.get("step", 1)
    return shown((start, end, step))


def _equal(value: Value, default: Value) -> bool:
    """``0`` is ``0.0``, but ``True`` is not ``1``."""
    if isinstance(value, bool) or isinstance(default, bool):
        return value is default
    if isinstance(value, int | float) and isinstance(default, int | float):
        return value == default
    return shown(value) == shown(default)


def _axis(value: Value, rank: int) -> Value:
    """Negative dimensions counted from the front."""
    if isinstance(value, tuple):
        return tuple(_axis(item, rank) for item in value)
    return value + rank if type(value) is int and -rank <= value < 0 else value


def _ordered(tensors: list[tuple[str, Ref]], function: str) -> list[tuple[str, Ref]]:
    """Tensors as the function's signature orders them, all others after them as they came."""
    order = SPELLINGS[function].order if function in SPELLINGS else ()
    place = {name: number for number, name in enumerate(("input", *order))}
    return sorted(tensors, key=lambda pair: place.get(pair[0], len(place)))


_ELLIPSIS = Symbol("Ellipsis")
_ALL: Value = {"slice": (None, None, None)}
_AXES = {"dim", "dim0", "dim1", "dims", "start_dim", "end_dim"}
_KEYWORDS = {"query": "input"}
"""Keyword arguments of forwards, as their first positional one is called."""
_TENSORS = {"weight", "bias", "running_mean", "running_var"}
"""Arguments that are a tensor or nothing."""
