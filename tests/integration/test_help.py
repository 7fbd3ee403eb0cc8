"""Errors and failures name a page, and ``archcheck help`` prints it."""

import ast
import pickle
from pathlib import Path

import pytest

import pytest_archcheck
from pytest_archcheck import UsageError, pages, trace
from pytest_archcheck.cli import main
from pytest_archcheck.plugin import _MARKERS
from tests.integration.support import in_process, text_of

PACKAGE = Path(pytest_archcheck.__file__).parent
RAISED = ("UsageError", "RecordingError", "FormatError", "NoValuesError")


def calls_of_errors():
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") in RAISED:
                yield f"{path.relative_to(PACKAGE)}:{node.lineno}", node


def test_every_error_names_its_page():
    found = list(calls_of_errors())

    assert len(found) > 140
    assert [where for where, node in found if "see" not in {keyword.arg for keyword in node.keywords}] == []


def test_every_page_that_an_error_names_is_there():
    named = {
        keyword.value.value
        for _, node in calls_of_errors()
        for keyword in node.keywords
        if keyword.arg == "see" and isinstance(keyword.value, ast.Constant) and keyword.value.value
    }

    assert len(named) > 10
    for topic in sorted(named):
        assert pages.text_of(topic).startswith("#"), topic


@pytest.mark.parametrize("mark", sorted({marker.partition("(")[0] for marker in _MARKERS}))
def test_every_mark_has_a_section(mark):
    """The failures of a mark point there."""
    text = pages.text_of(mark)

    assert text.splitlines()[0].lstrip("# ").startswith(f"`{mark}")
    assert f"@{mark}(" in text


def test_an_error_in_a_session_says_where_to_read_on():
    with pytest.raises(UsageError) as raised:
        trace(18, (1, 3, 8, 8))

    assert "more: archcheck help" not in str(raised.value)
    assert raised.value.__notes__ == ["more: archcheck help inputs"]
    assert pickle.loads(pickle.dumps(raised.value)).see == "inputs"


def test_an_error_of_a_command_says_where_to_read_on(capsys):
    assert main(["show", "resnet18"]) == 2

    assert capsys.readouterr().err.endswith("\nmore: archcheck help commands\n")


def test_a_wrong_mark_says_where_to_read_on(pytester):
    result = in_process(
        pytester, '@arch(Net, inputs=IMAGE)\n@arch_depth("18", convention="paper")\ndef test(): ...'
    )

    result.stdout.fnmatch_lines(
        ["*a depth is a whole number of layers*", "*more: archcheck help arch_depth*"]
    )


def test_a_mark_that_does_not_hold_says_where_to_read_on(pytester):
    result = in_process(
        pytester,
        '@arch(Net, inputs=IMAGE)\n@arch_depth(3, convention="paper")\n@arch_params(at_most=3)\ndef test(): ...',
    )

    lines = [line for line in text_of(result).splitlines() if "more:" in line]
    # In CI pytest repeats a failure's text in its summary.
    assert set(lines) == {"  more: archcheck help arch_depth", "  more: archcheck help arch_params"}


def test_a_page_is_printed_as_it_is_written_where_nobody_looks(capsys):
    assert main(["help", "drift"]) == 0

    assert capsys.readouterr().out == (PACKAGE.parent / "docs" / "drift.md").read_text("utf-8")


def test_a_section_is_printed_by_any_of_its_names(capsys):
    printed = set()
    for topic in ("arch_depth", "@arch_depth"):
        assert main(["help", topic]) == 0
        printed.add(capsys.readouterr().out)

    (text,) = printed
    assert text.startswith("## `arch_depth`")
    assert text.count("\n## ") == 0


def test_without_a_topic_every_page_is_listed(capsys):
    assert main(["help"]) == 0

    listed = {line.split()[0] for line in capsys.readouterr().out.splitlines()[:-1]}
    written = {path.stem for path in (PACKAGE.parent / "docs").glob("*.md")}
    assert listed == written - {"index", "api"}


def test_an_unknown_topic_names_the_nearest(capsys):
    assert main(["help", "arch_dpeth"]) == 2

    said = capsys.readouterr().err
    assert said.startswith(
        "archcheck: error: nothing is written about 'arch_dpeth'; the nearest are arch_depth"
    )


@pytest.mark.parametrize(
    ("word", "page"),
    [
        ("fvcore", "migration"),
        ("severity", "drift"),
        ("GitHub", "ci"),
        ("tied", "arch_tied"),
        ("update snapshot", "snapshots"),
    ],
)
def test_any_other_word_is_looked_up_in_the_pages(capsys, word, page):
    assert main(["help", word]) == 0

    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith(f"{word} stands in: {page}")
    assert second == f"as in archcheck help {page}"


def test_an_option_is_a_topic_as_it_is_typed(capsys):
    assert main(["help", "--arch-model"]) == 0

    assert capsys.readouterr().out.startswith("## `--arch-model`")


def test_the_page_on_merges_has_the_whole_workflow():
    """Who installed the package has no examples."""
    root = PACKAGE.parent
    workflow = (root / "examples" / "library" / ".github" / "workflows" / "architecture.yml").read_text(
        "utf-8"
    )

    assert f"```yaml\n# .github/workflows/architecture.yml\n{workflow}```" in pages.text_of("ci")
