"""The README says nothing that is not so."""

import re
from pathlib import Path

from pytest_archcheck import diff, trace
from tests.integration.support import in_subprocess
from tests.models import EXAMPLE, recorded

README = (Path(__file__).parents[2] / "README.md").read_text("utf-8")


def block(language, number=0):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)[number]


def test_the_five_lines_pass(pytester):
    pytester.makepyfile(test_it=block("python"))

    in_subprocess(pytester, "--snapshot-update").assert_outcomes(passed=1)
    in_subprocess(pytester).assert_outcomes(passed=1)


def test_the_failure_is_real(monkeypatch):
    """Every line of it, in order, is printed for the example with the paper's strides."""
    monkeypatch.syspath_prepend(EXAMPLE)
    from resnet import resnet50

    from pytest_archcheck.snapshots import explain_mismatch

    image = (1, 3, 224, 224)
    before, after = trace(resnet50, image), trace(lambda: resnet50("1x1"), image)
    assert diff(before, after)
    printed = iter(explain_mismatch(before.to_text(), after.to_text(), "resnet50").splitlines())

    for line in block("text").splitlines():
        assert line.strip() == "…" or line in printed


def test_the_table_of_conventions_is_real():
    rows = re.findall(r"^\| (`.*?) \|.*\| ([\d, ]+) \|$", README, re.MULTILINE)
    for conventions, numbers in rows:
        stated = [int(number) for number in numbers.split(",")]
        assert [
            recorded("resnet18").depth(name) for name in re.findall(r"`([a-z-]+)`", conventions)
        ] == stated
    assert len(rows) == 6


def test_every_mark_and_option_is_in_the_readme():
    import pytest_archcheck
    from pytest_archcheck.plugin import _MARKERS

    for marker in _MARKERS:
        assert f"`{marker.partition('(')[0]}(" in README
    for option in ("--arch-device", "arch_device", "arch_snapshot_dir"):
        assert option in README
    assert set(pytest_archcheck.__all__) >= {marker.partition("(")[0] for marker in _MARKERS}
