"""``pytest --arch-model``: a model is checked without a test file."""

import re

import pytest

from tests.integration.support import MODELS, in_subprocess, text_of

RESNET = ("--arch-model", "torchvision.models:resnet18", "--arch-input", "1x3x224x224")
NET = ("--arch-model", "models:Net", "--arch-input", "1x3x8x8")
PATH = "architecture/models.Net.arch"


@pytest.fixture
def project(pytester):
    """A package of models and no test."""
    pytester.makepyfile(models=MODELS)
    return pytester


def change(pytester, before, after):
    (pytester.path / "models.py").write_text(MODELS.replace(before, after), "utf-8")


def test_in_an_empty_folder_it_says_what_the_model_is(pytester):
    """Depth, parameters and MACs as He et al. and torchvision publish them."""
    result = in_subprocess(pytester, *RESNET)

    result.assert_outcomes(passed=1)
    result.stdout.fnmatch_lines(
        [
            "parameters 11,689,512 *",
            "MACs 1,814,073,344 (complete) · depth (paper) 18",
            "archcheck: torchvision.models:resnet18 was compared with nothing; --snapshot-update writes "
            "architecture/torchvision.models.resnet18.arch, to commit",
        ]
    )
    assert list(pytester.path.rglob("*.arch")) == []


def test_a_snapshot_is_written_and_then_holds(project):
    in_subprocess(project, *NET, "--snapshot-update", "-W", "error").assert_outcomes(passed=2)
    assert (project.path / PATH).read_text("utf-8").startswith("archcheck 1\n")

    result = in_subprocess(project, *NET, "-W", "error")

    result.assert_outcomes(passed=2)
    assert "compared with nothing" not in text_of(result)

    change(project, "padding=1", "padding=0")
    result = in_subprocess(project, *NET)
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(["models.Net drifted: conv padding (1, 1) → (0, 0)*", "do: mend the model*"])


def test_typed_alone_it_runs_alone_and_nobody_elses_snapshot_is_touched(project):
    project.makepyfile(test_other="def test_other(snapshot):\n    assert snapshot == 18\n")
    in_subprocess(project, "--snapshot-update").assert_outcomes(passed=1)
    others = {path: path.read_bytes() for path in project.path.rglob("*.ambr")}
    assert others

    in_subprocess(project, *NET, "--snapshot-update").assert_outcomes(passed=2)

    assert {path: path.read_bytes() for path in project.path.rglob("*.ambr")} == others


@pytest.mark.parametrize("configured", [False, True], ids=["typed", "configured"])
def test_beside_a_file_or_configured_it_is_one_more(project, configured):
    project.makepyfile(test_other="def test_other(): ...\n")
    if configured:
        project.makeini(f"[pytest]\naddopts = {' '.join(NET)}\n")

    result = in_subprocess(project, *(() if configured else (*NET, "test_other.py")))

    result.assert_outcomes(passed=2)


def test_budgets_of_the_project_are_judged(project):
    project.makeini("[pytest]\narch_budgets = params <= 10\n")

    result = in_subprocess(project, *NET)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["arch_budgets: params <= 10", "*found: *314 *"])


def test_the_projects_one_folder_is_used_and_its_file_is_no_orphan(project):
    project.makeini("[pytest]\narch_snapshot_dir = snapshots\n")

    result = in_subprocess(project, *NET, "--snapshot-update")

    assert (project.path / "snapshots" / "models.Net.arch").is_file()
    assert "belongs to no test module" not in text_of(result)


def test_several_models_and_workers(project):
    (project.path / "nets").mkdir()
    (project.path / "nets" / "small.py").write_text(MODELS, "utf-8")
    several = (*NET, "--arch-model", "nets/small.py:Net")

    in_subprocess(project, *several, "--snapshot-update").assert_outcomes(passed=4)
    result = in_subprocess(project, *several, "-n", "2")

    result.assert_outcomes(passed=4)
    assert (project.path / "architecture" / "nets.small.Net.arch").is_file()


def test_models_with_other_inputs_are_told_that_all_get_the_same(project):
    both = ("--arch-model", "models:Net", "--arch-model", "torch.nn:Flatten")

    result = in_subprocess(project, *both, "--arch-input", "1x3x8x8", "--arch-input", "1x4")

    result.assert_outcomes(errors=2)
    result.stdout.fnmatch_lines(
        ["archcheck: every --arch-input goes to every --arch-model; models with other *"]
    )


def test_an_input_by_name(project):
    result = in_subprocess(project, "--arch-model", "models:Net", "--arch-input", "x=1x3x8x8:float32")

    result.assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("--arch-model", "models"), "'models' is no model: write module:callable"),
        (("--arch-model", "models:Net", "--arch-input", "1x3x"), "--arch-input 1x3x: expected a shape like"),
        (("--arch-input", "1x3"), "--arch-input goes with --arch-model, and no model is given"),
        (
            ("--arch-model", "models:Nett", "--arch-input", "1x3"),
            "models:Nett: models has no Nett; the nearest is Net",
        ),
        (
            ("--arch-model", "models:Net"),
            "models:Net has to be called with something; .* --arch-input 1x3x224x224",
        ),
    ],
)
def test_what_makes_no_sense_is_told(project, arguments, told):
    result = in_subprocess(project, *arguments)

    assert result.ret != 0
    assert re.search(told, text_of(result))
    assert "Traceback" not in text_of(result)
    assert "INTERNALERROR" not in text_of(result)


def test_the_projects_own_update_leaves_its_snapshot(project):
    """Syrupy deletes what no test of a run compared with."""
    in_subprocess(project, *NET, "--snapshot-update").assert_outcomes(passed=2)
    project.makepyfile(
        test_it="""
        from models import Net
        from pytest_archcheck import arch

        @arch(Net, inputs=(1, 3, 8, 8))
        def test_net(arch_trace, arch_snapshot):
            assert arch_trace == arch_snapshot
        """
    )

    in_subprocess(project, "--snapshot-update").assert_outcomes(passed=1)
    result = in_subprocess(project)

    assert (project.path / PATH).is_file()
    assert "unused" not in text_of(result)
