"""Whether a model takes the tensors of a checkpoint: by name and shape, with a map for what is called otherwise."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import SequenceMatcher

from pytest_archcheck.records import StateTensor

_Shape = tuple[int, ...]
_SHOWN = 10
_COUNTER = "num_batches_tracked"
_ALIGNED = 2_000
"""Names that are put in order at most: it takes the square of their number."""


@dataclass(frozen=True)
class KeyMatch:
    """True where a model takes all of a checkpoint: as ``load_state_dict(strict=True)``, but for names that are tied.

    ``missing`` are names that the model has and the checkpoint has not, ``unexpected`` the other way round,
    ``reshaped`` names of both with the model's and the checkpoint's shape. ``renamed`` is a suggestion: of names
    that are unexpected, the missing ones that they may stand for, by prefix or by order and shape.
    """

    total: int
    missing: tuple[str, ...] = ()
    unexpected: tuple[str, ...] = ()
    reshaped: Mapping[str, tuple[_Shape, _Shape]] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return not (self.missing or self.unexpected or self.reshaped)

    @property
    def verdict(self) -> str:
        """In one line: what is missing, unexpected and reshaped, or that all fits."""
        if self:
            return f"all {self.total} tensors fit"
        counts = [
            (len(self.missing), "missing"),
            (len(self.unexpected), "unexpected"),
            (len(self.reshaped), "reshaped"),
        ]
        told = ", ".join(f"{number} {what}" for number, what in counts if number)
        return f"{told} of {self.total} tensors"

    def lines(self, *, full: bool = False) -> Iterator[str]:
        """Each name with what is wrong with it, and the suggested map; long lists are cut unless ``full``."""
        shapes = [
            f"{name}: {list(own)}, in the file {list(saved)}" for name, (own, saved) in self.reshaped.items()
        ]
        yield from _cut("reshaped", shapes, full)
        yield from _cut("missing", [n for n in self.missing if n not in self.renamed.values()], full)
        yield from _cut("unexpected", [n for n in self.unexpected if n not in self.renamed], full)
        yield from _cut("renamed?", [f"{old} → {new}" for old, new in self.renamed.items()], full)


def _cut(what: str, lines: Sequence[str], full: bool) -> Iterator[str]:
    shown = lines if full else lines[:_SHOWN]
    yield from (f"{what}: {line}" for line in shown)
    if len(lines) > len(shown):
        yield f"{what}: … and {len(lines) - len(shown)} more"


def compare(state: Sequence[StateTensor], saved: Mapping[str, _Shape | None]) -> KeyMatch:
    """Hold what a model saves to the tensors of a checkpoint; a shape of ``None`` is any.

    Of tensors that are tied a file may hold one, as safetensors does. The counters of batch norms may be missing all
    together, as in files from before torch 0.4.1, which batch norm itself sees to.
    """
    own = {tensor.name: tensor for tensor in state if tensor.saved and tensor.kind in ("param", "buffer")}
    groups: dict[str, set[str]] = {}
    for name, tensor in own.items():
        groups.setdefault(tensor.tied_to or name, set()).add(name)
    missing = [
        name
        for name, tensor in own.items()
        if name not in saved and not groups[tensor.tied_to or name] & saved.keys()
    ]
    if not any(name.endswith(_COUNTER) for name in saved):
        missing = [name for name in missing if not name.endswith(_COUNTER)]
    unexpected = [name for name in saved if name not in own]
    reshaped = {
        name: (own[name].spec.shape, shape)
        for name, shape in saved.items()
        if name in own and shape is not None and own[name].spec.shape != shape
    }
    shapes = {name: own[name].spec.shape for name in missing}
    renamed = _renamed({name: saved[name] for name in unexpected}, shapes)
    return KeyMatch(len(own), tuple(missing), tuple(unexpected), reshaped, renamed)


def _renamed(old: Mapping[str, _Shape | None], new: Mapping[str, _Shape]) -> dict[str, str]:
    found = max((_by_prefix(old, new, *prefix) for prefix in _prefixes(old, new)), key=len, default={})
    left = {name: shape for name, shape in old.items() if name not in found}
    free = {name: shape for name, shape in new.items() if name not in set(found.values())}
    if max(len(left), len(free)) > _ALIGNED:
        return found
    for tag, i1, i2, j1, _ in SequenceMatcher(None, _alike(left), _alike(free), autojunk=False).get_opcodes():
        if tag == "equal":
            found |= dict(zip(list(left)[i1:i2], list(free)[j1:], strict=False))
    return found


def _prefixes(old: Collection[str], new: Collection[str]) -> Iterator[tuple[str, str]]:
    """What to take from the front of old names and to put there instead: ``("module.", "")``."""
    heads = [
        {name[: i + 1] for name in names for i, sign in enumerate(name) if sign == "."}
        for names in (old, new)
    ]
    yield from ((head, "") for head in sorted(heads[0]))
    yield from (("", head) for head in sorted(heads[1]))
    first = [{head for head in side if head.count(".") == 1} for side in heads]
    yield from ((a, b) for a in sorted(first[0]) for b in sorted(first[1]))


def _by_prefix(
    old: Mapping[str, _Shape | None], new: Mapping[str, _Shape], taken: str, put: str
) -> dict[str, str]:
    pairs = {name: put + name.removeprefix(taken) for name in old if name.startswith(taken)}
    return {a: b for a, b in pairs.items() if b in new and old[a] in (None, new[b])}


def _alike(tensors: Mapping[str, _Shape | None]) -> list[tuple[str, _Shape | None]]:
    return [(name.rpartition(".")[2], shape) for name, shape in tensors.items()]
