"""The figures of ``docs/comparison.md`` that can be checked in seconds."""

import re
from importlib.metadata import version

import pytest
import torchvision

from bench.neighbours import COUNTERS, counted, deviation, subjects
from pytest_archcheck import trace
from tests.docs.blocks import ROOT

PAGE = (ROOT / "docs" / "comparison.md").read_text("utf-8")
SUBJECTS = subjects()


def rows_of(name):
    """A table as a list of dicts, by the heads of its columns."""
    table = re.search(rf"<!-- {name} -->\n(.*?)\n<!-- end -->", PAGE, re.DOTALL)[1]
    head, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines())
    return [dict(zip(head, row, strict=True)) for row in rows]


COUNTS = {row[""]: row for row in rows_of("counts")}


@pytest.mark.parametrize("name", [name for name, subject in SUBJECTS.items() if subject.decimals == 3])
def test_what_the_page_says_is_published_is(name):
    published = torchvision.models.get_model_weights(name).DEFAULT.meta["_ops"]

    assert COUNTS[name]["truth"] == f"{published:.3f} · 10⁹"


@pytest.mark.parametrize("name", SUBJECTS)
def test_ours_is_the_truth(name):
    subject = SUBJECTS[name]

    said = trace(subject.build, subject.inputs, kwargs=subject.kwargs)

    assert said.status == "complete"
    assert deviation(said.macs, subject) == COUNTS[name]["archcheck"] == "="


@pytest.mark.parametrize("name", ["functions only", "TransformerEncoder, batch 2", "BERT, keyword arguments"])
@pytest.mark.parametrize("counter", ["torchinfo", "ptflops", "torch"])
def test_a_counter_says_what_the_page_says(name, counter):
    """At the version that was measured."""
    if f"{counter} {version(counter)}" not in PAGE:
        pytest.skip(f"{counter} {version(counter)} was not measured")

    assert deviation(counted(counter, SUBJECTS[name]), SUBJECTS[name]) == COUNTS[name][counter]


def test_the_sums_are_those_of_the_columns():
    cells = {
        counter: [row[counter] for name, row in COUNTS.items() if name in SUBJECTS] for counter in COUNTERS
    }

    assert COUNTS.keys() == {*SUBJECTS, f"equal, of {len(SUBJECTS)}"}
    assert {counter: COUNTS[f"equal, of {len(SUBJECTS)}"][counter] for counter in COUNTERS} == {
        counter: str(column.count("=")) for counter, column in cells.items()
    }


def test_what_is_caught_is_summed():
    rows = rows_of("catches")
    changes = next(i for i, row in enumerate(rows) if row[""] == "changes caught")

    for tool in rows[0].keys() - {""}:
        for total, group in ((rows[changes], rows[:changes]), (rows[-1], rows[changes + 2 : -1])):
            assert total[tool] == f"{sum(row[tool] == 'fails' for row in group)} of {len(group)}"
