"""What all drawings of a picture have in common: colours that differ for the colour-blind too, and the words."""

from __future__ import annotations

from pytest_archcheck.drift.severity import Severity
from pytest_archcheck.graph.labels import cut
from pytest_archcheck.graph.picture import Node, Picture
from pytest_archcheck.reports.figures import at_least

PATH = "#0067A5"
SHORTCUT = "#D98200"
GREY = "#808080"
SEVERITIES = {
    Severity.BREAKING: ("#8C0D26", "#F2A3AE"),
    Severity.BEHAVIOUR: ("#B3240B", "#FFCFC2"),
    Severity.TRAINING: ("#7A5C00", "#FFEFA8"),
    Severity.COST: ("#5B2A86", "#E6D6F2"),
    Severity.COSMETIC: ("#5A5A5A", "#E2E2E2"),
}
"""Line and fill."""
_CHANGES_SHOWN = 3


def headline(picture: Picture) -> str:
    """Depth, parameters, MACs, and what of them was not counted."""
    parts = [
        f"depth {picture.depth} ({picture.convention})",
        f"{picture.params:,} parameters",
        f"{at_least(picture.macs, picture.status)} MACs",
    ]
    return " · ".join(parts) + ("" if picture.status == "complete" else f" ({cut(picture.status, 80)})")


def lines_of(node: Node) -> tuple[str, list[str], list[str]]:
    """What a node is, the small lines below, and those of what changed; the title is not in it."""
    head = cut(node.what, 48) + (f" ×{node.times}" if node.times > 1 else "")
    output = node.output if node.kind in ("input", "output") else f"→ {node.output}" if node.output else ""
    small = [cut(" ".join(filter(None, (" · ".join(node.then), output))), 60)]
    facts = []
    if node.kind in ("module", "block") and node.depth > node.copies:
        facts.append(f"{node.depth // node.copies} layers")
    facts += [f"{kind} shortcut" for kind in dict.fromkeys(node.shortcuts)]
    small += [" · ".join(facts)] if facts else []
    shown = [cut(change, 56) for change in node.changes[:_CHANGES_SHOWN]]
    more = len(node.changes) - len(shown)
    changed = [f"[{node.severity}]" if at == 0 and node.severity else "" for at, _ in enumerate(shown)]
    lines = [f"{rated} {line}".strip() for rated, line in zip(changed, shown, strict=True)]
    return head, [line for line in small if line], lines + ([f"… and {more} more"] if more else [])
