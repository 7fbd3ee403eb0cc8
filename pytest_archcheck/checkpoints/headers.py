"""The names and shapes of the tensors in a checkpoint, read from its header.

Requirements this module meets:

* no tensor is loaded, and torch is not imported;
* nothing in a file is run: the operations of a pickle are read one by one, no class or function that it names is looked
  up, and what does more than describe tensors, numbers, texts and containers is refused by its name.

The formats are those of safetensors (eight bytes of length, then JSON) and of ``torch.save`` since 1.6 (a zip archive
with ``data.pkl``); an index of shards (``model.safetensors.index.json``) stands for all of them.
"""

from __future__ import annotations

import json
import pickletools
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple

from pytest_archcheck.errors import UsageError

LARGEST, MOST = 100 * 2**20, 3_000_000
"""Bytes and operations that a header may have; one of 10,000 tensors has two million bytes and 400,000 operations."""

_NESTED = ("state_dict", "model_state_dict", "model", "module", "net")


class Saved(NamedTuple):
    """A tensor in a file."""

    shape: tuple[int, ...]


class _Global(NamedTuple):
    """A class or function that a pickle names. It is never looked up."""

    module: str
    name: str


class _Other:
    """Anything that is no tensor, container, number or text."""


_OTHER = _Other()
_MARK = _Other()


def read_header(path: str | Path) -> dict[str, tuple[int, ...]]:
    """The shape of every tensor of a ``.safetensors``, ``.pt``, ``.pth`` or ``.bin`` file by its name.

    Raises:
        UsageError: there is no such file, it is damaged or of another format, or holds more than descriptions.
    """
    path = Path(path)
    try:
        if path.name.endswith(".index.json"):
            return _index(path)
        with path.open("rb") as file:
            start = file.read(9)
            file.seek(0)
            if start[:4] == b"PK\x03\x04":
                return _zip(path, file)
            if start[8:9] == b"{":
                return _safetensors(path, file)
    except OSError as error:
        raise _refused(f"{path}: {error.strerror or error}; give the path of a checkpoint") from None
    raise _refused(
        f"{path} is neither a safetensors file nor one of torch.save since torch 1.6; save it anew with one of them"
    )


def _refused(why: str) -> UsageError:
    return UsageError(why, see="arch_checkpoint")


def _index(path: Path) -> dict[str, tuple[int, ...]]:
    try:
        names: dict[str, str] = dict(json.loads(path.read_text("utf-8"))["weight_map"])
        shards = sorted({Path(str(shard)).name for shard in names.values()})
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _refused(
            f'{path} is no index of shards: it has no "weight_map"; give the one beside them'
        ) from None
    found: dict[str, tuple[int, ...]] = {}
    for shard in shards:
        if shard.endswith(".index.json"):
            raise _refused(f"{path} names another index, {shard}, as a shard; give that one")
        found |= read_header(path.parent / shard)
    absent = [name for name in names if name not in found]
    if absent:
        raise _refused(
            f"{path} promises {absent[0]} in {names[absent[0]]}, which does not hold it; fetch both anew"
        )
    return found


def _safetensors(path: Path, file: IO[bytes]) -> dict[str, tuple[int, ...]]:
    length = int.from_bytes(file.read(8), "little")
    if length > LARGEST:
        raise _refused(
            f"{path}: its header says that it has {length:,} bytes; the file is damaged: fetch it anew"
        )
    try:
        header = json.loads(file.read(length))
        return {name: _shape(entry["shape"]) for name, entry in header.items() if name != "__metadata__"}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise _refused(
            f"{path}: its header is no description of tensors; the file is damaged: fetch it anew"
        ) from None


def _shape(sizes: Any) -> tuple[int, ...]:
    if not isinstance(sizes, list | tuple) or not all(type(size) is int and size >= 0 for size in sizes):
        raise ValueError("no shape")
    return tuple(sizes)


def _zip(path: Path, file: IO[bytes]) -> dict[str, tuple[int, ...]]:
    try:
        with zipfile.ZipFile(file) as archive:
            name = next((n for n in archive.namelist() if n.endswith("/data.pkl") or n == "data.pkl"), None)
            if name is None:
                raise _refused(
                    f"{path} is a zip archive without data.pkl, so not one of torch.save; {_ADVICE}"
                )
            with archive.open(name) as data:
                pickled = data.read(LARGEST + 1)
        if len(pickled) > LARGEST:
            raise _refused(f"{path}: {name} has more than {LARGEST:,} bytes; {_ADVICE}")
        return _tensors(_described(pickled, path), path)
    except UsageError:
        raise
    except Exception as error:  # a damaged file raises whatever it likes, and nothing of it has run
        raise _refused(
            f"{path} cannot be read: {str(error) or type(error).__name__}; it may be damaged: fetch it anew"
        ) from None


def _tensors(content: Any, path: Path) -> dict[str, tuple[int, ...]]:
    """Those of a state dict, or of the one that a dict of training state holds."""
    if not isinstance(content, Mapping):
        raise _refused(f"{path} holds {type(content).__name__}, not a state dict; save model.state_dict()")
    inner = [content.get(key) for key in _NESTED]
    for candidate in (*inner, content, *content.values()):
        if isinstance(candidate, Mapping):
            found = {key: value.shape for key, value in candidate.items() if isinstance(value, Saved)}
            if found:
                return found
    raise _refused(
        f"{path} holds no tensors; found the keys {', '.join(map(repr, list(content)[:5])) or 'none'}; "
        "save model.state_dict()"
    )


def _described(pickled: bytes, path: Path) -> Any:  # noqa: PLR0915 (one line for each operation)
    """What a pickle describes: dicts with texts as keys, lists, tuples, numbers, texts and tensors.

    Its operations are read one by one; a call makes a tensor's description or an empty container, or is refused.
    """
    stack: list[Any] = []
    memo: dict[Any, Any] = {}
    for number, (operation, argument, _) in enumerate(pickletools.genops(pickled)):
        if number > MOST:
            raise _refused(f"{path} describes its tensors in more than {MOST:,} operations; {_ADVICE}")
        name = operation.name
        if name in _PASSED_OVER:
            continue
        if name == "STOP":
            return stack.pop()
        if name in ("GLOBAL", "STACK_GLOBAL"):
            if name == "GLOBAL":
                module, _, attribute = str(argument).partition(" ")
            else:
                attribute, module = str(stack.pop()), str(stack.pop())
            stack.append(_known(_Global(module, attribute), path))
        elif name in ("BINPUT", "LONG_BINPUT", "PUT"):
            memo[argument] = stack[-1]
        elif name == "MEMOIZE":
            memo[len(memo)] = stack[-1]
        elif name in ("BINGET", "LONG_BINGET", "GET"):
            stack.append(memo[argument])
        elif name == "MARK":
            stack.append(_MARK)
        elif name == "EMPTY_DICT":
            stack.append({})
        elif name == "EMPTY_LIST":
            stack.append([])
        elif name == "EMPTY_TUPLE":
            stack.append(())
        elif name in ("TUPLE1", "TUPLE2", "TUPLE3"):
            count = int(name[-1])
            stack[-count:] = [tuple(stack[-count:])]
        elif name == "TUPLE":
            stack.append(tuple(_to_mark(stack)))
        elif name in ("SETITEM", "SETITEMS"):
            items = _to_mark(stack) if name == "SETITEMS" else [stack.pop(-2), stack.pop()]
            if isinstance(stack[-1], dict):
                stack[-1].update(_pairs(items))
        elif name in ("APPEND", "APPENDS", "ADDITEMS"):
            items = [stack.pop()] if name == "APPEND" else _to_mark(stack)
            if isinstance(stack[-1], list):
                stack[-1].extend(items)
        elif name == "REDUCE":
            arguments, function = stack.pop(), stack.pop()
            stack.append(_made(function, arguments))
        elif name == "BUILD":  # attributes, as the version of each module in a state dict
            stack.pop()
        elif name == "BINPERSID":  # a storage
            stack[-1] = _OTHER
        elif name == "NONE":
            stack.append(None)
        elif name in ("NEWTRUE", "NEWFALSE"):
            stack.append(name == "NEWTRUE")
        elif name == "EMPTY_SET":
            stack.append(_OTHER)
        elif argument is not None and not operation.stack_before:  # a number or a text
            stack.append(argument)
        else:
            raise _refused(f"{path} holds the operation {name}, which no file of torch.save has; {_ADVICE}")
    raise ValueError("it ends in the middle")


_PASSED_OVER = {"PROTO", "FRAME"}
_ADVICE = "save a plain state dict, or use safetensors"
_SIZE_AT = {  # where the arguments of what makes a tensor have its size
    "_rebuild_tensor": 2,
    "_rebuild_tensor_v2": 2,
    "_rebuild_tensor_v3": 2,
    "_rebuild_meta_tensor_no_storage": 1,
}
_FIRST = ("_rebuild_parameter", "_rebuild_parameter_with_state")
_HARMLESS = {
    ("collections", "OrderedDict"),
    ("argparse", "Namespace"),
    ("_codecs", "encode"),
    ("builtins", "set"),
}
_HARMLESS |= {
    ("__builtin__", "set"),
    ("collections", "defaultdict"),
    ("builtins", "dict"),
    ("pathlib", "PosixPath"),
}
_PLAIN = ("Size", "device", "Tensor", "Parameter", "Buffer")
_TORCH = (
    "torch._utils",
    "torch._tensor",
    "torch",
    "torch.storage",
    "torch.nn.parameter",
    "torch.serialization",
)


def _known(named: _Global, path: Path) -> _Global:
    module, name = named
    is_torch = module in _TORCH and (
        name.startswith("_rebuild_") or name.endswith("Storage") or name in _PLAIN
    )
    is_dtype = module == "torch" and name.isidentifier() and name[-1:].isdigit()
    is_numpy = module.partition(".")[0] == "numpy" and name in ("scalar", "dtype", "_reconstruct", "ndarray")
    if not (is_torch or is_dtype or is_numpy or named in _HARMLESS):
        raise _refused(
            f"{path} holds {module}.{name}, which is no description of a tensor and is not run; {_ADVICE}"
        )
    return named


def _made(function: Any, arguments: Any) -> Any:
    """What a call stands for: a tensor, a container that is filled later, or something else."""
    if not isinstance(function, _Global) or not isinstance(arguments, tuple):
        return _OTHER
    name = function.name
    if name in _SIZE_AT:
        return Saved(_shape(arguments[_SIZE_AT[name]]))
    if name in _FIRST:
        return arguments[0]
    if name == "_rebuild_from_type_v2":
        return _made(arguments[0], arguments[2])
    if name == "_rebuild_sparse_tensor":
        return Saved(_shape(arguments[1][2]))
    if name == "Size":
        return arguments[0]
    return {} if name in ("OrderedDict", "defaultdict", "dict", "Namespace") else _OTHER


def _to_mark(stack: list[Any]) -> list[Any]:
    items = []
    while (item := stack.pop()) is not _MARK:
        items.append(item)
    return items[::-1]


def _pairs(items: list[Any]) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in zip(items[::2], items[1::2], strict=True) if isinstance(key, str))
