"""Every mutation of the catalogue is told: layer, attribute, before, after and severity, the cause first."""

import pytest

from pytest_archcheck import Trace, diff
from pytest_archcheck.drift import Severity
from pytest_archcheck.drift.reader import Known, read
from pytest_archcheck.reports.drift import line
from tests.drift.mutations import MUTATIONS
from tests.drift.subjects import SUBJECTS, built, original, recorded_as


def test_the_catalogue_is_as_large_as_promised():
    assert len(MUTATIONS) >= 60
    assert len({entry.subject for entry in MUTATIONS}) >= 12
    assert len({entry.name for entry in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize("entry", MUTATIONS, ids=lambda entry: entry.name)
def test_a_mutation_is_named(entry):
    model = built(entry.subject)
    changed = entry.change(model)
    after = recorded_as(entry.subject, model if changed is None else changed)
    before = original(entry.subject)
    drift = diff(before, after)
    told = [line(group) for group in drift.groups if group.first.severity > Severity.COSMETIC]

    assert told == entry.told
    first = drift.groups[0]
    what = f"{first.first.attribute} {first.first.before} → {first.first.after}"
    if first.first.attribute == "name":
        what = f"{first}"
    assert what[:12] in drift.verdict
    assert first.is_everywhere or first.first.layer in drift.verdict
    assert f"· {drift.severity}" in drift.verdict
    assert drift.severity == first.first.severity
    assert diff(after, after).changes == ()
    assert len(str(drift).splitlines()) < 40
    texts = before.to_text(), after.to_text()
    assert diff(*map(Trace.from_text, texts)).changes == drift.changes
    known = Known()
    assert diff(*(read(text, known) for text in texts)).changes == drift.changes


def test_every_subject_has_a_mutation():
    assert {entry.subject for entry in MUTATIONS} == set(SUBJECTS)
