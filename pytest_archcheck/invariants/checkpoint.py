"""``arch_checkpoint``: the model loads a reference checkpoint, by its keys and shapes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from os import PathLike, fspath
from typing import Any

from pytest_archcheck.checkpoints.headers import read_header
from pytest_archcheck.checkpoints.keys import compare
from pytest_archcheck.errors import UsageError
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.traces import Trace


class Checkpoint:
    """The model takes every tensor of a checkpoint: ``Checkpoint("reference.safetensors")``.

    Given is the path of a ``.safetensors``, ``.pt``, ``.pth`` or ``.bin`` file or of an index of shards, of which only
    the header is read; or the keys themselves, in a dict with shapes or in a list.

    Raises:
        UsageError: it is neither a path nor keys.
    """

    def __init__(self, reference: object, /) -> None:
        self.path: str | None = None
        self.keys: dict[str, tuple[int, ...] | None] = {}
        if isinstance(reference, str | PathLike):
            self.path = fspath(reference)
        elif isinstance(reference, Mapping):
            self.keys = {
                str(name): _shape(shape)
                for name, shape in reference.items()
                if not str(name).endswith("_extra_state")
            }
        elif isinstance(reference, list | tuple | set | frozenset) and all(
            isinstance(k, str) for k in reference
        ):
            self.keys = dict.fromkeys(reference)
        else:
            raise UsageError(
                "give the path of a checkpoint, a dict of names and shapes, or a list of names, "
                f"not {type(reference).__name__}",
                see="arch_checkpoint",
            )

    def claims(self) -> Mapping[str, object]:
        """Nothing that another mark could contradict: a model may load several."""
        return {}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation with all names that do not fit, and how they may have been renamed."""
        saved = self.keys if self.path is None else read_header(self.path)
        match = compare(trace.state, saved)
        if not match:
            renamed = "; rename them as suggested" if match.renamed else ""
            yield Violation(
                self.path or "the keys",
                "the model's names and shapes",
                match.verdict,
                "",
                f"mend the model, or convert the checkpoint{renamed}",
                evidence=tuple(match.lines()),
            )


def _shape(given: Any) -> tuple[int, ...] | None:
    """A shape, or that of a tensor; ``None`` where nothing says it."""
    shape = getattr(given, "shape", given)
    is_shape = isinstance(shape, tuple | list) and all(isinstance(size, int) for size in shape)
    return tuple(shape) if is_shape else None
