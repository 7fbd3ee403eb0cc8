"""The documentation says nothing that is not so."""

import doctest
import re
from io import StringIO
from pathlib import Path

import pytest
import torchvision
from rich.console import Console

from pytest_archcheck import Trace, UsageError, count, invariants, marks, trace
from pytest_archcheck.drift.noise import NOISE
from pytest_archcheck.drift.writer import FORMAT_VERSION
from pytest_archcheck.records import Op, TensorSpec
from pytest_archcheck.reports.table import print_table
from tests.integration.support import in_process
from tests.integration.test_conventions import CONFTEST
from tests.models import recorded

DOCS = Path(__file__).parents[2] / "docs"
STRUCTURE = (DOCS / "structure.md").read_text("utf-8")
COSTS = (DOCS / "costs.md").read_text("utf-8")


@pytest.mark.parametrize(
    "page", ["structure.md", "costs.md", "drift.md", "format.md", "behaviour.md", "reports.md"]
)
def test_the_sessions_print_what_they_show(page):
    names = {"torchvision": torchvision, "trace": trace, "count": count, "t": recorded("resnet50")}
    text = (DOCS / page).read_text("utf-8")
    if page == "drift.md":
        exec(re.findall(r"```python\n(from .*?)```", text, re.DOTALL)[0], names)
    sessions = "\n".join(re.findall(r"```python\n(>>> .*?)```", text, re.DOTALL))
    examples = doctest.DocTestParser().get_doctest(sessions, names, page, None, 0)

    results = doctest.DocTestRunner().run(examples)

    assert results.attempted >= 4
    assert results.failed == 0


def test_the_recipes_of_behaviour_hold(pytester):
    text = (DOCS / "behaviour.md").read_text("utf-8")
    recipes = re.findall(r"```python\n((?!>>>).*?)```", text, re.DOTALL)

    result = in_process(pytester, "\n".join(recipes))

    result.assert_outcomes(passed=len(recipes))


def test_the_table_that_the_page_shows_is_printed():
    """But for the rows that it leaves out."""
    shown = re.findall(r"```text\n(torchvision.*?)```", (DOCS / "reports.md").read_text("utf-8"), re.DOTALL)[
        0
    ]
    console = Console(file=StringIO(), width=10_000, highlight=False, markup=False, emoji=False)

    print_table(recorded("resnet50"), console)

    printed = [line.rstrip() for line in console.file.getvalue().splitlines()]
    assert len(shown.splitlines()) > 15
    assert [line for line in shown.splitlines() if line.strip() != "…" and line not in printed] == []


def test_the_text_of_the_format_is_one():
    """It reads back to itself, and what it shows of costs is so."""
    block = re.findall(r"```text\n(archcheck .*?)```", (DOCS / "format.md").read_text("utf-8"), re.DOTALL)[0]

    assert Trace.from_text(block).to_text() == block
    assert block.startswith(f"archcheck {FORMAT_VERSION}\n")


def test_the_noise_that_the_page_tells_is_in_the_table():
    text = (DOCS / "drift.md").read_text("utf-8")

    assert text.count("| a table, [`drift/noise.py`]") + text.count("| the same |") == len(NOISE)


def test_the_convention_of_the_example_is_the_one_that_is_tested():
    blocks = re.findall(r"```python\n(.*?)```", STRUCTURE, re.DOTALL)

    assert CONFTEST.strip() in [block.strip() for block in blocks]


def test_the_formula_of_the_example_is_what_attention_costs(monkeypatch):
    """And it can be registered."""
    from pytest_archcheck.costs import formulas

    monkeypatch.setattr(formulas._REGISTRY, "_functions", {})
    block = next(b for b in re.findall(r"```python\n(.*?)```", COSTS, re.DOTALL) if "@mac_formula" in b)
    names = {}
    exec(block, names)
    shapes = ((2, 4, 7, 16), (2, 4, 9, 16), (2, 4, 9, 8))
    call = Op("", "f", 1, (), {}, tuple(TensorSpec(shape) for shape in shapes), ())

    assert names["fused_attention"](call) == 2 * 4 * 7 * 9 * (16 + 8)


def test_every_budget_of_the_example_can_be_stated():
    block = next(b for b in re.findall(r"```python\n(.*?)```", COSTS, re.DOTALL) if "@arch_size" in b)
    lines = [line.removeprefix("@") for line in block.splitlines()]

    for line in lines:
        mark = eval(line, vars(marks)).mark
        invariants.INVARIANTS[mark.name](*mark.args, **mark.kwargs)
    assert len(lines) == 5
    with pytest.raises(UsageError):
        invariants.INVARIANTS["arch_macs"]()


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_links_lead_somewhere(path):
    for target in re.findall(r"\]\((?!http)([^)#]+)", path.read_text("utf-8")):
        assert (path.parent / target).exists()
