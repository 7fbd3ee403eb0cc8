"""No refactoring of the catalogue is told as drift."""

import pytest

from pytest_archcheck import diff
from tests.drift.refactorings import REFACTORINGS
from tests.drift.subjects import built, original, recorded_as


def test_the_catalogue_is_as_large_as_promised():
    assert len(REFACTORINGS) >= 30
    assert len({entry.name for entry in REFACTORINGS}) == len(REFACTORINGS)


@pytest.mark.parametrize("entry", REFACTORINGS, ids=lambda entry: entry.name)
def test_a_refactoring_is_no_drift(entry):
    model = built(entry.subject)
    changed = entry.change(model)
    after = recorded_as(entry.subject, model if changed is None else changed)
    drift = diff(original(entry.subject), after)

    assert str(drift.severity or "none") == entry.outcome, str(drift)
    assert bool(drift) == (entry.outcome != "none")
    assert drift.renamed_keys == {}
