"""Every link from one of our pages to another file leads somewhere, and so does its anchor."""

from pathlib import Path

import pytest

import pytest_archcheck
from tests.docs.blocks import ROOT
from tests.docs.links import anchors_of, links_of

PAGES = [
    *sorted(ROOT.glob("*.md")),
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "bench").glob("*.md")),
]
PACKAGE = Path(pytest_archcheck.__file__).parent


def broken(page):
    """The links that lead nowhere, each with page and line."""
    for line, target in links_of(page):
        path, _, anchor = target.partition("#")
        if "://" in target or target.startswith("mailto:"):
            continue
        to = (page.parent / path).resolve() if path else page
        if to.is_relative_to(ROOT / "pytest_archcheck"):  # which may be an installed one
            to = PACKAGE / to.relative_to(ROOT / "pytest_archcheck")
        if not to.exists() or (anchor and anchor not in anchors_of(to)):
            yield f"{page.name}:{line} {target}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert list(broken(page)) == []


def test_links_that_lead_nowhere_are_told_with_their_line(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A page, `of` *ours*!\n\n## Twice\n\n## Twice\n\n[a](#a-page-of-ours) [b](#twice-1) [c](page.md#twice)\n\n"
        "| table |\n|---|\n| [x](gone.md) |\n\n`[code](gone.md)` ![picture](gone.svg)\n"
        "[y](#twice-2) [z](page.md#gone)\n\n"
        "[site](https://github.com)\n",
        "utf-8",
    )

    assert list(broken(page)) == [
        "page.md:11 gone.md",
        "page.md:13 gone.svg",
        "page.md:13 #twice-2",
        "page.md:13 page.md#gone",
    ]
