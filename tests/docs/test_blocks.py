"""Every code block of the documentation does what it shows; ``blocks`` says how they are written."""

import pytest

from tests.docs.blocks import ROOT, run_page

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_block_does_what_it_shows(page, tmp_path):
    outcome = run_page(page, tmp_path)

    if outcome.wrong:
        pytest.fail("\n\n".join(outcome.wrong), pytrace=False)
    if outcome.unrun:
        pytest.skip("all other blocks hold; not run: " + ", ".join(outcome.unrun))
