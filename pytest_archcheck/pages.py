"""The pages of the documentation, which are installed too: what errors point at and ``archcheck help`` prints."""

from __future__ import annotations

import re
from pathlib import Path

from pytest_archcheck.errors import UsageError
from pytest_archcheck.names import nearest

_HEADING = re.compile(r"^(#+) (.+)$", re.MULTILINE)
_NAME = re.compile(r"`(?:archcheck |--)?(\w[\w-]*)[^`]*`")
_PLACES = 5
_NOT_FOR_TERMINALS = ("index", "api")


def titles() -> dict[str, str]:
    """The title of every page, by its name."""
    found = {}
    for path in sorted(_folder().glob("*.md")):
        if path.stem not in _NOT_FOR_TERMINALS:
            found[path.stem] = path.read_text("utf-8").partition("\n")[0].removeprefix("# ").replace("`", "")
    return found


def text_of(topic: str) -> str:
    """The Markdown of a page, or of the section about a mark, an option or a command, as in ``arch_depth``.

    Of any other word the pages in which it stands.

    Raises:
        UsageError: nothing is written under that name.
    """
    wanted = topic.removeprefix("archcheck ").lstrip("-@")
    sections: dict[str, str] = {}
    for name in titles():
        text = (_folder() / f"{name}.md").read_text("utf-8")
        if name == wanted:
            return text
        sections = _sections(text) | sections
    if wanted not in sections:
        near = nearest(wanted, [*titles(), *sections])
        places = _places(wanted)
        if places:
            about = [name for name in sections if wanted.lower() in name.lower()]
            return f"{wanted} stands in: {', '.join([*about, *places])}\nas in archcheck help {[*about, *places][0]}\n"
        raise UsageError(
            f"nothing is written about {topic!r}{near}; archcheck help lists the pages", see="commands"
        )
    return sections[wanted]


def _places(text: str) -> list[str]:
    """The pages in whose prose all words of a search begin words, those that have them most often first."""
    patterns = [re.compile(rf"\b{re.escape(word)}", re.IGNORECASE) for word in text.split()]
    counts = {}
    for name in titles():
        prose = _without_code((_folder() / f"{name}.md").read_text("utf-8"))
        counts[name] = min((len(pattern.findall(prose)) for pattern in patterns), default=0)
    return sorted((name for name in counts if counts[name]), key=lambda name: -counts[name])[:_PLACES]


def _sections(text: str) -> dict[str, str]:
    """The text of every section that is about one name, its heading included, by that name."""
    found = {}
    headings = list(_HEADING.finditer(_without_code(text)))
    for number, heading in enumerate(headings):
        name = _NAME.fullmatch(heading[2])
        if name is None:
            continue
        after = (later.start() for later in headings[number + 1 :] if len(later[1]) <= len(heading[1]))
        found[name[1]] = text[heading.start() : next(after, len(text))].rstrip() + "\n"
    return found


def _without_code(text: str) -> str:
    """The text with blocks of code blanked, of the same length: a comment in them looks like a heading."""
    return re.sub(r"^```.*?^```", lambda block: " " * len(block[0]), text, flags=re.DOTALL | re.MULTILINE)


def _folder() -> Path:
    """Beside the modules in an installation, beside the package in a checkout."""
    installed = Path(__file__).parent / "docs"
    return installed if installed.is_dir() else Path(__file__).parents[1] / "docs"
