"""``arch_stages``, ``arch_shortcuts`` and ``arch_receptive_field``: the structure that a paper's table states."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from pytest_archcheck.errors import UsageError
from pytest_archcheck.graph.shortcuts import KINDS
from pytest_archcheck.invariants.base import Context, Violation
from pytest_archcheck.invariants.patterns import no_match
from pytest_archcheck.traces import Trace


@dataclass(frozen=True)
class Stages:
    """The number of blocks in each stage, in order of execution: ``Stages((3, 4, 6, 3))``; ``()`` for none.

    Raises:
        UsageError: the pattern is no tuple of whole numbers.
    """

    pattern: Sequence[int]

    def __post_init__(self) -> None:
        is_row = isinstance(self.pattern, tuple | list)
        if not is_row or not all(type(number) is int and number > 0 for number in self.pattern):
            raise UsageError(
                f"stages are numbers of blocks, as in (3, 4, 6, 3), not {self.pattern!r}", see="arch_stages"
            )

    def claims(self) -> Mapping[str, object]:
        """The pattern."""
        return {"stages": tuple(self.pattern)}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation, with the blocks of every stage."""
        if trace.stages == tuple(self.pattern):
            return
        found = f"{trace.stages}" if trace.stages else "no repeated blocks"
        yield Violation(
            "the model",
            f"stages {tuple(self.pattern)}",
            found,
            "",
            f"state {trace.stages}, or mend the model",
            evidence=tuple(_stages(trace)),
        )


def _stages(trace: Trace) -> Iterator[str]:
    for number, group in groupby(trace.blocks, key=lambda block: block.stage):
        blocks = list(group)
        names = blocks[0].name if len(blocks) == 1 else f"{blocks[0].name} … {blocks[-1].name}"
        shape = "×".join(map(str, blocks[-1].output))
        yield f"stage {number}: {len(blocks)} × {blocks[0].type.rpartition('.')[2]} to {shape}: {names}"


class Shortcuts:
    """The number of shortcuts of each kind: ``Shortcuts(identity=12, projection=4)``.

    Kinds that are not stated are not judged. A shortcut is the shorter path into a residual sum, see
    ``graph.shortcuts``.

    Raises:
        UsageError: nothing is stated, there is no such kind, or a number is no count.
    """

    def __init__(
        self,
        *,
        identity: int | None = None,
        projection: int | None = None,
        padding: int | None = None,
        resampled: int | None = None,
    ) -> None:
        stated = dict(zip(KINDS, (identity, projection, padding, resampled), strict=True))
        self.counts = {kind: number for kind, number in stated.items() if number is not None}
        if not self.counts:
            raise UsageError(
                "nothing is stated; write kinds and numbers, as in identity=12, projection=4",
                see="arch_shortcuts",
            )
        for kind, number in self.counts.items():
            if type(number) is not int or number < 0:
                raise UsageError(
                    f"{kind}={number!r}: a number of shortcuts is a whole number, as in {kind}=4",
                    see="arch_shortcuts",
                )

    def claims(self) -> Mapping[str, object]:
        """The number of each kind by itself."""
        return {f"number of {kind} shortcuts": number for kind, number in self.counts.items()}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for each kind of which there is another number, with the sums they lead into."""
        for kind, number in self.counts.items():
            found = [shortcut for shortcut in trace.shortcuts if shortcut.kind == kind]
            if len(found) != number:
                lines = [f"{s.sum} from {s.start}" for s in found]
                more = [f"… and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
                yield Violation(
                    "the model",
                    f"{number} {kind} shortcut{'s' if number != 1 else ''}",
                    f"{len(found)}",
                    _all_kinds(trace),
                    f"state {kind}={len(found)}, or mend the model",
                    evidence=(*lines[:_SHOWN], *more),
                )


_SHOWN = 20


def _all_kinds(trace: Trace) -> str:
    kinds = [shortcut.kind for shortcut in trace.shortcuts]
    counts = ", ".join(f"{kind} {kinds.count(kind)}" for kind in KINDS if kind in kinds)
    return f"of {len(kinds)} in all: {counts}" if kinds else "there is no residual sum"


@dataclass(frozen=True)
class ReceptiveFieldSize:
    """One position sees ``size`` input positions on each axis: ``ReceptiveFieldSize(427, stride=32)``.

    An integer holds for every axis. Judged is the output of the layer ``at``, or the last feature map before positions
    are mixed at large (global pooling, flattening, attention); see ``graph.receptive``.

    Raises:
        UsageError: a size or stride is no whole number, nor a tuple of them.
    """

    size: int | tuple[int, ...]
    stride: float | tuple[float, ...] | None = field(default=None, kw_only=True)
    at: str | None = field(default=None, kw_only=True)

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("stride", self.stride)):
            if value is None and name == "stride":
                continue
            numbers = value if isinstance(value, tuple) else (value,)
            kinds = (int,) if name == "size" else (int, float)  # an enlarged map has a stride below 1
            if not (numbers and all(type(n) in kinds and n > 0 for n in numbers)):  # type: ignore[operator]
                raise UsageError(
                    f"{name} is a number of input positions, as in 427 or (427, 427), not {value!r}",
                    see="arch_receptive_field",
                )
        if self.at is not None and not isinstance(self.at, str):
            raise UsageError(f"at is the name of a layer, not {self.at!r}", see="arch_receptive_field")

    def claims(self) -> Mapping[str, object]:
        """Size and stride, for each layer by itself."""
        where = self.at or "the model"
        stated = {f"receptive field of {where}": self.size, f"stride of {where}": self.stride}
        return {subject: _folded(value) for subject, value in stated.items() if value is not None}

    def check(self, trace: Trace, context: Context) -> Iterator[Violation]:
        """One violation for the size and one for the stride."""
        if self.at is not None and self.at not in trace:
            names = [call.id for call in trace.calls]
            yield no_match(self.at, "a layer of that name", "none ran", "", names, "trace.layers")
            return
        found_field = trace.receptive_field(self.at)
        if found_field is None:
            wanted = f"a receptive field of {self.size}"
            none = "none: no convolution or pooling before it"
            yield Violation(
                self.at or "the model",
                wanted,
                none,
                "",
                "name a layer behind one with at=, or mend the model",
            )
            return
        by = found_field.ended_by
        why = f"the field of {found_field.at}, before {by} mixes positions" if by else ""
        for name, stated, found in (
            ("receptive field", self.size, found_field.size),
            ("stride", self.stride, found_field.stride),
        ):
            if stated is not None and found != (
                stated if isinstance(stated, tuple) else (stated,) * len(found)
            ):
                shown = found if isinstance(stated, tuple) else _folded(found)
                where, advice = self.at or found_field.at, f"state {shown}, or mend the model"
                yield Violation(where, f"a {name} of {stated}", f"{shown}", why, advice)


def _folded(size: float | tuple[float, ...]) -> object:
    """One number where all axes have it."""
    return size[0] if isinstance(size, tuple) and len(set(size)) == 1 else size
