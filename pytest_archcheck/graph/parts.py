"""The part of the network that a layer lies in: stem, a stage's blocks, between stages, head."""

from __future__ import annotations

from pytest_archcheck.traces import Trace


class Parts:
    """The part of each of some layers, given in order."""

    def __init__(self, trace: Trace, names: list[str]) -> None:
        blocks = {
            call.name: f"stage {number}"
            for number, stage in enumerate(trace.stage_calls, 1)
            for call in stage
        }
        inside = {name: part for name in names if (part := _owner(name, blocks))}
        places = [place for place, name in enumerate(names) if name in inside]
        first, last = (places[0], places[-1]) if places else (len(names), len(names))
        self._part: dict[str, str] = {}
        for place, name in enumerate(names):
            outside = "stem" if place < first else "between stages" if place < last else "head"
            self._part.setdefault(name, inside.get(name, outside) if blocks else "layers")

    def of(self, name: str) -> str:
        """``"stem"``, ``"stage 2"``, ``"between stages"`` or ``"head"``; ``"layers"`` where there are no stages."""
        return self._part[name]


def _owner(name: str, blocks: dict[str, str]) -> str:
    name = name.replace(":", ".").partition("#")[0]
    while name and name not in blocks:
        name = name.rpartition(".")[0]
    return blocks[name] if name else ""
