"""A project's own depth conventions: from its conftest, and from an installed package."""

import pytest

from pytest_archcheck import UsageError, convention
from pytest_archcheck.graph.conventions import convention_names
from tests.integration.support import IMPORTS, MODELS, in_subprocess, text_of
from tests.models import recorded

CONFTEST = '''
from pytest_archcheck import convention
from pytest_archcheck.graph.weights import is_pooling


@convention("with-pooling")
def with_pooling(trace):
    """Weighted and pooling layers in sequence, the input and the output."""
    path = trace.longest_path(lambda call, weight: weight or is_pooling(call))
    return ["input", *path, "output"]
'''

TEST = (
    IMPORTS
    + """
from torchvision.models import resnet18

@arch(resnet18, inputs=(1, 3, 224, 224))
@arch_depth({depth}, convention="{name}")
def test_resnet18():
    pass
"""
)


def test_a_convention_of_the_conftest_holds_also_under_xdist(pytester):
    """ResNet-18: 18, two pooling layers, input and output."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(models=MODELS, test_it=TEST.format(depth=22, name="with-pooling"))

    in_subprocess(pytester).assert_outcomes(passed=1)
    in_subprocess(pytester, "-n", "2").assert_outcomes(passed=1)


def test_its_failure_is_explained_like_any_other(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(models=MODELS, test_it=TEST.format(depth=18, name="with-pooling"))

    result = in_subprocess(pytester)

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "  why:      22 under 'with-pooling', 18 under 'paper' and 'longest-path'",
            "  depth 22 under 'with-pooling': weighted and pooling layers in sequence, the input and the output",
            "      stem         3  input, conv1, maxpool",
            "      head         3  avgpool, fc, output",
            "        3  projection shortcut, parallel to the longer path: *",
        ]
    )


def test_a_package_brings_conventions_by_an_entry_point(pytester):
    pytester.makepyfile(
        models=MODELS,
        theirs='def halved(trace):\n    """Every second layer."""\n    return trace.longest_path()[::2]\n',
        test_it=TEST.format(depth=9, name="halved")
        + """
    assert trace(resnet18, (1, 3, 64, 64)).depth("halved") == 9

def test_names():
    with pytest.raises(UsageError, match="did you mean 'halved'.*blocks, .*halved"):
        trace(Net, IMAGE).depth("halve")
    with pytest.raises(UsageError, match="'broken' .nothing:at_all. cannot be loaded: ModuleNotFoundError"):
        trace(Net, IMAGE).depth("broken")
""",
    )
    folder = pytester.mkdir("theirs-1.0.dist-info")
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n", "utf-8")
    (folder / "entry_points.txt").write_text(
        "[pytest_archcheck.conventions]\nhalved = theirs:halved\nbroken = nothing:at_all\n", "utf-8"
    )
    pytester.syspathinsert()

    in_subprocess(pytester).assert_outcomes(passed=2)


def test_an_unknown_convention_names_the_projects_own(pytester):
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(models=MODELS, test_it=TEST.format(depth=22, name="with-polling"))

    result = in_subprocess(pytester)

    result.assert_outcomes(errors=1)
    assert "did you mean 'with-pooling'?" in text_of(result)


@pytest.fixture
def registered(monkeypatch):
    """Conventions that a test registers are forgotten after it."""
    from pytest_archcheck.graph import conventions

    known = dict(conventions._REGISTRY._functions)
    monkeypatch.setattr(conventions._REGISTRY, "_functions", known)


@pytest.mark.usefixtures("registered")
def test_a_name_that_is_taken_is_refused():
    def mine(trace):
        """Nothing."""
        return []

    with pytest.raises(
        UsageError, match=r"'paper' is pytest_archcheck.graph.rules._paper already; give .*mine"
    ):
        convention("paper")(mine)
    convention("mine")(mine)
    convention("mine")(mine)

    assert convention_names()[-1] == "mine"


@pytest.mark.usefixtures("registered")
def test_two_files_with_one_function_name_are_two(tmp_path):
    """As two conftests are, which pytest gives one module name."""
    for folder in ("a", "b"):
        source = 'def proj(trace):\n    """A rule."""\n    return []\n'
        names = {"__name__": "conftest"}
        exec(compile(source, f"{folder}/conftest.py", "exec"), names)
        if folder == "a":
            convention("proj")(names["proj"])

    with pytest.raises(
        UsageError, match=r"conftest.proj \(a/conftest.py\) already; give conftest.proj \(b/conf"
    ):
        convention("proj")(names["proj"])


def test_a_convention_needs_a_name():
    def forgotten(trace):
        """A rule."""

    with pytest.raises(
        UsageError, match=r"registered by a name, as in @convention\('with-pooling'\), not .*forgotten"
    ):
        convention(forgotten)


@pytest.mark.usefixtures("registered")
def test_a_path_is_weighed_in_whole_numbers():
    with pytest.raises(UsageError, match=r"weigh gave 0.5 for conv1; return a whole number"):
        recorded("resnet18").longest_path(lambda call, weight: 0.5 * weight)


@pytest.mark.usefixtures("registered")
def test_one_name_is_one_layer():
    """Not one for each of its letters."""

    @convention("head")
    def head(trace):
        """The classifier."""
        return "fc"

    assert recorded("resnet18").depth("head") == 1


@pytest.mark.usefixtures("registered")
def test_a_convention_without_a_rule_is_refused():
    with pytest.raises(UsageError, match="'mine' needs a docstring; write one, whose first line is the rule"):
        convention("mine")(lambda trace: [])


@pytest.mark.usefixtures("registered")
def test_a_convention_that_fails_or_gives_no_layers_is_named():
    @convention("failing")
    def failing(trace):
        """It fails."""
        raise KeyError("stem")

    @convention("numbers")
    def numbers(trace):
        """It gives a number."""
        return [3]

    with pytest.raises(
        UsageError, match=r"'failing' \(.*failing\) failed: KeyError: 'stem' \(.*test_conv.*py:\d+\)"
    ):
        recorded("resnet18").depth("failing")
    with pytest.raises(UsageError, match=r"'numbers' \(.*numbers\) gave 3; return names of layers, or pairs"):
        recorded("resnet18").depth("numbers")


@pytest.mark.usefixtures("registered")
def test_a_reason_of_its_own_replaces_the_graphs():
    from pytest_archcheck.graph.depth import LeftOut

    @convention("but-the-head")
    def but_the_head(trace):
        """The longest path without the classifier."""
        *layers, _ = trace.longest_path()
        return [*layers, LeftOut("fc", "the classifier is replaced")]

    explanation = recorded("resnet18").explain_depth("but-the-head")

    assert explanation.depth == 17
    assert [layer.reason for layer in explanation.left_out if layer.name == "fc"] == [
        "the classifier is replaced"
    ]
