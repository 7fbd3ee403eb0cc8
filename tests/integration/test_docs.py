"""The documentation says nothing that is not so."""

import doctest
import re
from pathlib import Path

import pytest
import torchvision

from pytest_archcheck import trace
from tests.integration.test_conventions import CONFTEST
from tests.models import recorded

DOCS = Path(__file__).parents[2] / "docs"
STRUCTURE = (DOCS / "structure.md").read_text("utf-8")


def test_the_sessions_print_what_they_show():
    names = {"torchvision": torchvision, "trace": trace, "t": recorded("resnet50")}
    sessions = "\n".join(re.findall(r"```python\n(>>> .*?)```", STRUCTURE, re.DOTALL))
    examples = doctest.DocTestParser().get_doctest(sessions, names, "structure.md", None, 0)

    results = doctest.DocTestRunner().run(examples)

    assert results.attempted >= 5
    assert results.failed == 0


def test_the_convention_of_the_example_is_the_one_that_is_tested():
    blocks = re.findall(r"```python\n(.*?)```", STRUCTURE, re.DOTALL)

    assert CONFTEST.strip() in [block.strip() for block in blocks]


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!http)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists()
