"""A picture as a Mermaid flowchart, which GitHub and GitLab draw in Markdown; names are text whatever they hold."""

from __future__ import annotations

from collections.abc import Iterator

from pytest_archcheck.graph.labels import cut
from pytest_archcheck.graph.picture import Member, Node, Picture
from pytest_archcheck.reports.palette import PATH, SEVERITIES, SHORTCUT, headline, lines_of

_SHAPES = {
    "input": ('(["', '"])'),
    "output": ('(["', '"])'),
    "sum": ('(("', '"))'),
    "norm": ('("', '")'),
    "op": ('("', '")'),
    "module": ('[["', '"]]'),
    "block": ('[["', '"]]'),
}
_BOX = ('["', '"]')


def mermaid(picture: Picture) -> str:
    """The text of the flowchart; the same for the same picture."""
    return "\n".join([*_lines(picture), ""])


def _lines(picture: Picture) -> Iterator[str]:
    yield "flowchart TD"
    heading = [
        picture.model,
        headline(picture),
        *([picture.verdict] if picture.verdict else []),
        *picture.notes,
    ]
    yield f'  subgraph picture["{"<br/>".join(_text(cut(line, 140)) for line in heading)}"]'
    for member in picture.members:
        yield from _member(member, "  ")
    yield "  end"
    for edge in picture.edges:
        arrow = f"-. {edge.shortcut} .->" if edge.shortcut else "==>" if edge.on_path else "-->"
        yield f"  {edge.source} {arrow} {edge.target}"
    yield f"  classDef path stroke:{PATH},stroke-width:2px,fill:#D6E8F5,color:#000"
    for severity, (line, fill) in SEVERITIES.items():
        yield f"  classDef {severity} stroke:{line},stroke-width:3px,fill:{fill},color:#000"
    shortcuts = [str(number) for number, edge in enumerate(picture.edges) if edge.shortcut]
    if shortcuts:
        yield f"  linkStyle {','.join(shortcuts)} stroke:{SHORTCUT},stroke-width:2px"


def _member(member: Member, indent: str) -> Iterator[str]:
    if isinstance(member, Node):
        yield f"{indent}{_node(member)}"
        return
    times = f" ×{member.times}" if member.times > 1 else ""
    told = f" [{member.severity}] {'; '.join(member.changes)}" if member.severity else ""
    title = f"{cut(member.name)} {member.what}{times}{cut(told, 60)}"
    yield f'{indent}subgraph {member.id}["{_text(title)}"]'
    for inner in member.members:
        yield from _member(inner, f"{indent}  ")
    yield f"{indent}end"
    if member.severity:
        yield f"{indent}class {member.id} {member.severity}"


def _node(node: Node) -> str:
    head, small, changed = lines_of(node)
    first = " ".join(filter(None, (cut(node.title), head)))
    before, after = _SHAPES.get(node.kind, _BOX)
    style = str(node.severity) if node.severity else "path" if node.on_path else ""
    label = "<br/>".join(_text(line) for line in (first, *small, *changed))
    return f"{node.id}{before}{label}{after}" + (f":::{style}" if style else "")


def _text(text: str) -> str:
    """Text in Mermaid's entities; letters, digits and signs without a meaning stand for themselves."""
    return "".join(
        letter if letter.isalnum() or letter in " ._,:/→×−+·…{}()" else f"#{ord(letter)};"
        for letter in text
        if letter.isprintable()
    )
