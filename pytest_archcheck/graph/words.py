"""What the nodes and clusters of a picture say."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_archcheck.graph.boxes import Box, Boxes
from pytest_archcheck.graph.cells import LISTS, Cell
from pytest_archcheck.graph.labels import describe, made_text
from pytest_archcheck.graph.outline import Unit
from pytest_archcheck.names import span
from pytest_archcheck.records import LayerCall, Op

_THEN_SHOWN = 4


def title_of(cell: Cell, place: Cell | None) -> str:
    """The name of a cell within the open one around it; empty for functions."""
    if isinstance(cell.unit.call, Op) and not cell.is_mixed:
        return ""
    around = f"{place.unit.call.module.name}." if place and isinstance(place.unit.call, LayerCall) else ""
    first = dict(cell.copies[0][1])
    names = [
        unit.name.removeprefix(around)
        for unit, marks in cell.copies
        if all(first[number] == at for number, at in marks if number != cell.number)
    ]
    return span(dict.fromkeys(names))


def box_words(box: Box, boxes: Boxes) -> tuple[str, str, tuple[str, ...], str, str]:
    """Title, what it is, what follows in the same node, output shape, and kind of a node."""
    head = box.cells[0]
    then = list(_then(box))
    if len(then) > _THEN_SHOWN:
        then = [*then[: _THEN_SHOWN - 1], f"… {len(then) - _THEN_SHOWN + 1} more"]
    kind = _kind(box, boxes)
    title = title_of(head, box.place)
    return title, _what(head, boxes), tuple(then), made_text(box.cells[-1].copies[-1][0].call), kind


def cluster_words(cell: Cell) -> tuple[str, str]:
    """What an open cell is, and its output shape."""
    unit = cell.unit
    blocks = [(part.unit.kind, part.times) for part in cell.parts if part.is_block]
    kinds = {kind for kind, _ in blocks}
    if len(kinds) == 1:
        what = f"{sum(times for _, times in blocks)} × {kinds.pop()}"
    else:
        what = "" if isinstance(unit.call, LayerCall) and unit.call.type in LISTS else unit.kind
    return what, made_text(unit.call)


def _what(cell: Cell, boxes: Boxes) -> str:
    unit = cell.unit
    if cell.is_mixed:
        kinds = list(dict.fromkeys(other.kind for other, _ in cell.copies))
        more = ", …" if len(kinds) > 3 else ""
        return f"{cell.times} calls: {', '.join(kinds[:3])}{more}"
    if unit.parts:
        inside = [index for index in boxes.inside(unit) if boxes.graph.nodes[index].weight]
        call = boxes.graph.nodes[inside[0]].call if len(inside) == 1 else None
        kind = "" if isinstance(unit.call, LayerCall) and unit.call.type in LISTS and call else unit.kind
        inner = [part.kind for part in _leaves(unit) if part.call is call]
        return (
            f"{kind} {describe(call, inner[0] if not kind else '').strip()}".strip()
            if call and inner
            else kind
        )
    return describe(unit.call, unit.kind)


def _leaves(unit: Unit) -> Iterator[Unit]:
    stack = [unit]
    while stack:
        at = stack.pop()
        if not at.parts:
            yield at
        stack += at.parts


def _then(box: Box) -> Iterator[str]:
    for cell in box.cells[1:]:
        unit = cell.unit
        if unit.kind == "Identity":
            continue
        name = title_of(cell, box.place).rpartition(".")[2]
        is_number = name.partition("#")[0].isdigit()
        yield describe(unit.call, unit.kind) if not name or is_number else name.partition("#")[0]


def _kind(box: Box, boxes: Boxes) -> str:
    head = box.cells[0]
    if head.is_block:
        return "block"
    if head.times > 1 or head.unit.parts:
        return "module"
    if boxes.weighted(head.unit):
        return "weighted"
    if len(box.sources) > 1 and head.unit.kind in ("add", "cat", "mul", "sub", "stack"):
        return "sum"
    return "norm" if "norm" in head.unit.kind.lower() else "op"
