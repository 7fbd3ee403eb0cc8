"""A picture as DOT, the language of Graphviz: stages side by side, each from top to bottom.

Colours are never alone in what they say: shortcuts are named in the legend, a drift's severity in its node. Names are
text whatever they hold.
"""

from __future__ import annotations

import html
from collections.abc import Iterator

from pytest_archcheck.graph.labels import cut
from pytest_archcheck.graph.picture import Cluster, Edge, Member, Node, Picture
from pytest_archcheck.reports.lanes import columns
from pytest_archcheck.reports.palette import GREY, PATH, SEVERITIES, SHORTCUT, headline, lines_of

_SHAPES = {
    "input": ("box", "rounded,filled", "#E4E4E4"),
    "output": ("box", "rounded,filled", "#E4E4E4"),
    "sum": ("ellipse", "filled", "#FFF1CC"),
    "weighted": ("box", "filled", "#FFFFFF"),
    "norm": ("box", "rounded,filled", "#F7F7F7"),
    "op": ("box", "rounded,filled", "#F7F7F7"),
    "module": ("box3d", "filled", "#FFFFFF"),
    "block": ("box3d", "filled", "#FFFFFF"),
    "gone": ("box", "dashed,filled", "#FFFFFF"),
}
_COUNTED = "#D6E8F5"
_STYLES = {"identity": "solid", "projection": "dashed", "padding": "dotted", "resampled": "dotted"}


def dot(picture: Picture) -> str:
    """The DOT text; the same for the same picture."""
    return "\n".join([*_lines(picture), ""])


def _lines(picture: Picture) -> Iterator[str]:
    yield "digraph architecture {"
    yield (
        f"  graph [rankdir=TB, newrank=true, nodesep=0.25, ranksep=0.3, pad=0.25, labelloc=t, fontsize=12, "
        f'fontname="Helvetica", bgcolor=white, label=<{_title(picture)}>];'
    )
    yield '  node [fontname="Helvetica", fontsize=11, margin="0.12,0.05", height=0.3, color="#555555"];'
    yield f'  edge [fontname="Helvetica", fontsize=9, color="{GREY}", arrowsize=0.6];'
    side_by_side = columns(picture)
    place = {name: number for number, column in enumerate(side_by_side) for name in column}
    for member in picture.members:
        yield from _member(member, "  ", place)
    yield from _flow(picture, side_by_side, place)
    yield "}"


def _flow(picture: Picture, side_by_side: list[list[str]], place: dict[str, int]) -> Iterator[str]:
    """The columns, and the edges; what comes from another column enters at a point above its own."""
    entering: dict[tuple[str, int], list[Edge]] = {}
    for edge in picture.edges:
        column = place.get(edge.target, place.get(edge.source, 0))
        if place.get(edge.source, column) != column:
            entering.setdefault((edge.source, column), []).append(edge)
        else:
            yield f"  {edge.source} -> {edge.target}{_edge(edge)};"
    tops = [[column[0]] for column in side_by_side]
    for number, ((source, column), edges) in enumerate(entering.items()):
        color = PATH if any(edge.on_path for edge in edges) else GREY
        line = f'arrowhead=none, penwidth=2, color="{color}"'
        points = f"p{number}", f"q{number}", f"r{number}"
        if place.get(source) == column - 1:  # round the column: out below, up between the two, in above
            yield from (f'  {point} [shape=point, width=0.05, color="{color}"];' for point in points)
            yield f"  {{ rank=same; {source} -> {points[2]} [{line}]; }}"
            yield f"  {points[1]} -> {points[2]} [{line}, weight=20];"
            yield f"  {points[1]} -> {points[0]} [{line}];"
            tops[column][-1:] = [points[1], points[0]] if len(tops[column]) == 1 else [*points[1::-1]]
        else:
            yield f'  {points[0]} [shape=point, width=0.05, color="{color}"];'
            yield f"  {source} -> {points[0]} [constraint=false, {line}];"
            tops[column] = [*tops[column], points[0]] if len(tops[column]) > 1 else [points[0]]
        for edge in edges:
            yield f"  {points[0]} -> {edge.target}{_edge(edge)};"
    if len(tops) > 1:
        row = [name for names in tops for name in names]
        yield f"  {{ rank=same; {'; '.join(row)}; }}"
        yield f"  {' -> '.join(row)} [style=invis];"


def _title(picture: Picture) -> str:
    legend = [
        f'<FONT COLOR="{PATH}"><B>━</B></FONT> longest path ({_text(picture.convention)})',
        f'<FONT COLOR="{SHORTCUT}"><B>━</B></FONT> shortcut: identity',
        f'<FONT COLOR="{SHORTCUT}"><B>┅</B></FONT> projection or another',
    ]
    if picture.verdict:
        used = sorted({node.severity for node in picture.nodes if node.severity}, reverse=True)
        legend += [f'<FONT COLOR="{SEVERITIES[each][0]}">■</FONT> {each}' for each in used]
    lines = [f'<FONT POINT-SIZE="18"><B>{_text(picture.model)}</B></FONT>', _text(headline(picture))]
    lines += [f"<B>{_text(cut(picture.verdict, 140))}</B>"] if picture.verdict else []
    lines += [_text(cut(note, 140)) for note in picture.notes[:4]]
    lines += [f"… and {len(picture.notes) - 4} more"] if len(picture.notes) > 4 else []
    lines.append(f'<FONT POINT-SIZE="10">{"&#160;&#160;&#160;".join(legend)}</FONT>')
    return "<BR/>".join(lines) + "<BR/>"


def _member(member: Member, indent: str, place: dict[str, int]) -> Iterator[str]:
    """A node, or a box around what it holds.

    A box across columns would bring them out of order: it is drawn only where it has drift to tell.
    """
    if isinstance(member, Node):
        yield f"{indent}{member.id} [{_node(member)}];"
        return
    if len({place.get(node.id) for node in member.nodes}) > 1 and member.severity is None:
        for inner in member.members:
            yield from _member(inner, indent, place)
        return
    yield f"{indent}subgraph cluster_{member.id} {{"
    yield f"{indent}  graph [{_cluster(member)}];"
    for inner in member.members:
        yield from _member(inner, f"{indent}  ", place)
    yield f"{indent}}}"


def _node(node: Node) -> str:
    shape, style, fill = _SHAPES[node.kind]
    edge, width = "#555555", 1.0
    if node.on_path:
        edge, width = PATH, 1.8
        fill = _COUNTED if node.depth else fill
    if node.severity is not None:
        (edge, fill), width = SEVERITIES[node.severity], 2.6
    head, small, changed = lines_of(node)
    title = f"<B>{_text(cut(node.title))}</B>" if node.title else ""
    first = " ".join(filter(None, (title, _text(head))))
    lines = [first, *(f'<FONT POINT-SIZE="9" COLOR="#444444">{_text(line)}</FONT>' for line in small)]
    lines += [f'<FONT POINT-SIZE="9" COLOR="{edge}"><B>{_text(line)}</B></FONT>' for line in changed]
    tip = "\n".join([node.name, *node.changes])
    return (
        f'label=<{"<BR/>".join(lines)}>, shape={shape}, style="{style}", fillcolor="{fill}", color="{edge}", '
        f"penwidth={width}, tooltip={_quoted(tip)}"
    )


def _cluster(cluster: Cluster) -> str:
    times = f" ×{cluster.times}" if cluster.times > 1 else ""
    what = f" {cluster.what}{times}" if cluster.what else times
    output = f" → {cluster.output}" if cluster.output and not cluster.is_block else ""
    lines = [f"<B>{_text(cut(cluster.name))}</B>{_text(what)}{_text(output)}"]
    color, width, fill = ("#AAAAAA", 1.0, "#FAFAFA") if cluster.is_block else ("#666666", 1.2, "#F0F3F5")
    if cluster.severity is not None:
        (color, _), width = SEVERITIES[cluster.severity], 2.6
        told = f"[{cluster.severity}] {'; '.join(cluster.changes)}"
        lines.append(f'<FONT POINT-SIZE="9" COLOR="{color}"><B>{_text(cut(told, 60))}</B></FONT>')
    style = "rounded,filled"
    return (
        f'label=<{"<BR/>".join(lines)}>, labeljust=l, fontsize=11, style="{style}", fillcolor="{fill}", '
        f'color="{color}", penwidth={width}, tooltip={_quoted(cluster.name)}'
    )


def _edge(edge: Edge) -> str:
    words = []
    if edge.shortcut:
        words += [f'color="{SHORTCUT}"', "penwidth=2.2", f"style={_STYLES[edge.shortcut]}"]
        words.append(f'tooltip="{edge.shortcut} shortcut"')
    elif edge.on_path:
        words += [f'color="{PATH}"', "penwidth=2", "weight=8"]
    elif edge.source.startswith("g") or edge.target.startswith("g"):
        words.append("style=dashed")
    return f" [{', '.join(words)}]" if words else ""


def _text(text: str) -> str:
    """Text for an HTML-like label, without what no label can hold."""
    plain = "".join(letter if letter.isprintable() else " " for letter in text)
    return html.escape(plain).replace("\\", "&#92;")


def _quoted(text: str) -> str:
    """Text for a plain attribute, where entities and backslashes have a meaning too."""
    plain = "".join(letter if letter.isprintable() or letter == "\n" else " " for letter in text)
    return '"' + html.escape(plain).replace("\\", "&#92;").replace("\n", "&#10;") + '"'
