"""The README says nothing that is not so; its blocks are run in ``tests/docs``."""

import html
import re
from pathlib import Path

from pytest_archcheck import diff, trace
from pytest_archcheck.plugin import _MARKERS
from pytest_archcheck.snapshots import explain_mismatch
from tests.models import EXAMPLE

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")


def test_its_first_picture_is_the_real_failure(monkeypatch):
    """Every line that the example's failure has with the stride moved is drawn; ``docs/failure.py`` draws it."""
    monkeypatch.syspath_prepend(EXAMPLE)
    from resnet import resnet50

    image = (1, 3, 224, 224)
    before, after = trace(resnet50, image), trace(lambda: resnet50("1x1"), image)
    assert diff(before, after)
    lines = explain_mismatch(before.to_text(), after.to_text(), "resnet50").splitlines()
    path = re.findall(r"!\[[^\]]*\]\((.*?)\)", README)[0]

    drawn = (ROOT / path).read_text("utf-8")

    texts = re.findall(r"<text class=\"[^\"]*-r\d+\"[^>]*>(.*?)</text>", drawn)
    squeezed = re.sub(r"\s", "", html.unescape("".join(texts)))
    assert len(lines) > 10
    assert [line for line in lines if re.sub(r"\s", "", line) not in squeezed] == []
    assert "url(" not in drawn.replace("url(#", "")  # it loads nothing


def test_it_counts_the_marks():
    """All but ``arch``, which names the model."""
    assert f"[{len(_MARKERS) - 1} marks](docs/marks.md)" in README


def test_it_is_a_page_and_a_half():
    """At about 70 lines of a printed page, code and headings included."""
    assert len(README.splitlines()) <= 105
