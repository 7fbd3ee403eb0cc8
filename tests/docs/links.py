"""The links of a page and the anchors of its headings, as code hosts make them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token


def links_of(page: Path) -> Iterator[tuple[int, str]]:
    """Where a page links to, with the line of the paragraph."""
    for token in _parsed(page):
        for child in token.children or []:
            target = child.attrGet("href") or child.attrGet("src")
            if target is not None:
                yield token.map[0] + 1, str(target)


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings; one that comes again gets a number."""
    seen: Counter[str] = Counter()
    anchors = set()
    tokens = _parsed(page)
    for opening, inline in pairwise(tokens):
        if opening.type == "heading_open":
            text = "".join(child.content for child in inline.children or [])
            slug = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
            anchors.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
            seen[slug] += 1
    return anchors


def _parsed(page: Path) -> list[Token]:
    return MarkdownIt("commonmark").enable("table").parse(page.read_text("utf-8"))
