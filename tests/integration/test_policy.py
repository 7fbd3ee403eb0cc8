"""Which severities of drift fail, and that drift which does not fail is told all the same."""

from xml.etree import ElementTree

import pytest

from tests.integration.support import IMPORTS, MODELS, in_subprocess, record_once, text_of

TEST = """
import os

@arch(lambda: Net(8, getattr(nn, os.environ.get("ACT", "ReLU"))), inputs=IMAGE)
def test_net(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot

def frozen():
    net = Net()
    net.head.bias.requires_grad_("FROZEN" not in os.environ)
    return net

@arch(frozen, inputs=IMAGE)
def test_frozen(arch_trace, arch_snapshot):
    assert arch_trace == arch_snapshot
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """Two committed snapshots; one model drifts in behaviour, the other in training."""
    pytester.makepyfile(models=MODELS, test_it=IMPORTS + TEST)
    record_once(pytester, passed=2)
    monkeypatch.setenv("ACT", "GELU")
    monkeypatch.setenv("FROZEN", "1")
    return pytester


@pytest.mark.parametrize(
    ("ini", "options", "failed"),
    [
        ("", [], 2),
        ("", ["--arch-fail-on", "breaking,behaviour"], 1),
        ("", ["--arch-fail-on=none"], 0),
        ("arch_fail_on = breaking cost", [], 0),
        ("arch_fail_on = breaking cost", ["--arch-fail-on", "behaviour, training"], 2),
    ],
)
def test_the_policy_says_what_fails(project, ini, options, failed):
    project.makeini(f"[pytest]\n{ini}\n")

    in_subprocess(project, *options).assert_outcomes(passed=2 - failed, failed=failed)


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_drift_that_does_not_fail_is_told(project, workers):
    result = in_subprocess(project, "--arch-fail-on=breaking", "--junit-xml=out.xml", *workers)

    result.assert_outcomes(passed=2)
    told = text_of(result)
    assert "architecture drift that does not fail" in told
    assert "net drifted: act class ReLU → GELU · behaviour" in told
    assert "frozen drifted: head.bias requires_grad trainable → frozen · training" in told
    assert "accept it: pytest --snapshot-update; let it fail: --arch-fail-on" in told
    properties = ElementTree.parse(project.path / "out.xml").findall(".//property[@name='arch_drift']")
    assert len(properties) == 2


def test_drift_that_does_not_fail_is_told_of_a_test_that_fails_otherwise(project):
    test = project.path / "test_it.py"
    test.write_text(test.read_text("utf-8").replace("@arch(frozen", "@arch_params(1)\n@arch(frozen"), "utf-8")

    result = in_subprocess(project, "--arch-fail-on=breaking")

    result.assert_outcomes(passed=1, failed=1)
    assert "frozen drifted: head.bias requires_grad trainable → frozen · training" in text_of(result)


def test_no_drift_and_cosmetic_drift_are_silent(project, monkeypatch):
    monkeypatch.delenv("ACT")
    monkeypatch.delenv("FROZEN")
    models = project.path / "models.py"
    models.write_text(
        f"{models.read_text('utf-8').replace('class Net', 'class Other')}\nNet = Other\n", "utf-8"
    )

    result = in_subprocess(project)

    result.assert_outcomes(passed=2)
    assert "drifted" not in text_of(result)
    assert "does not fail" not in text_of(result)


def test_cosmetic_drift_fails_where_it_is_asked_to(project, monkeypatch):
    monkeypatch.delenv("ACT")
    monkeypatch.delenv("FROZEN")
    models = project.path / "models.py"
    models.write_text(
        f"{models.read_text('utf-8').replace('class Net', 'class Other')}\nNet = Other\n", "utf-8"
    )

    result = in_subprocess(project, "--arch-fail-on=cosmetic")

    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines(["*net drifted: the model class models.Net → models.Other · cosmetic"])


def test_an_update_accepts_drift_that_does_not_fail(project):
    in_subprocess(project, "--snapshot-update", "--arch-fail-on=none").assert_outcomes(passed=2)

    in_subprocess(project).assert_outcomes(passed=2)


@pytest.mark.parametrize(
    ("ini", "options"),
    [("arch_fail_on = none breaking", []), ("", ["--arch-fail-on", "all"])],
)
def test_a_word_that_is_no_severity_is_told_before_anything_runs(project, ini, options):
    project.makeini(f"[pytest]\n{ini}\n")

    result = in_subprocess(project, *options)

    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert "is no severity; choose from breaking, behaviour, training, cost, cosmetic" in text_of(result)
