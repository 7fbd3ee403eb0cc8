"""The three walls of the design."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import pytest_archcheck
from tests.models import recorded

PACKAGE = Path(pytest_archcheck.__file__).parent
SNAPSHOTS = Path(__file__).parents[2] / "snapshots"


def run(code, *args):
    return subprocess.run(
        [sys.executable, "-c", code, *args], capture_output=True, text=True, encoding="utf-8", check=False
    )


def test_loading_the_plugin_imports_no_torch(pytester):
    """A project that has the plugin and does not use it pays no import of torch."""
    pytester.makepyfile(
        """
        import sys

        def test_nothing(request):
            assert request.config.pluginmanager.hasplugin("archcheck")
            assert "torch" not in sys.modules
            assert "pytest_archcheck.recording" not in sys.modules
        """
    )

    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=1)


def test_two_snapshots_are_compared_where_torch_cannot_be_imported(tmp_path):
    """Reading, comparing and explaining is plain data."""
    before = recorded("resnet18").to_text()
    (tmp_path / "before.arch").write_text(before, "utf-8")
    (tmp_path / "after.arch").write_text(before.replace("maxpool MaxPool2d", "maxpool AvgPool2d"), "utf-8")
    code = """
import sys
sys.modules["torch"] = None  # any import of it fails
from pathlib import Path
from pytest_archcheck import Trace, diff
before, after = (Trace.from_text(Path(path).read_text("utf-8")) for path in sys.argv[1:])
print(diff(before, after).verdict.encode("ascii", "replace").decode())
print(before.depth("paper"), before.stages, before.macs)
try:
    import torch
except ImportError:
    print("no torch")
"""

    result = run(code, str(tmp_path / "before.arch"), str(tmp_path / "after.arch"))

    assert result.stdout.splitlines() == [
        "ResNet drifted: maxpool class MaxPool2d ? AvgPool2d ? behaviour",
        "18 (2, 2, 2, 2) 1814073344",
        "no torch",
    ], result.stderr


def test_only_the_recording_room_imports_torch():
    """No module outside it names torch in an import, not even inside a function."""
    found = []
    for path in PACKAGE.rglob("*.py"):
        if path.is_relative_to(PACKAGE / "recording"):
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [(path.name, name) for name in names if name.partition(".")[0] in ("torch", "ptflops")]

    assert found == []


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_the_committed_snapshot_is_the_same_bytes_on_this_torch(name):
    """One text for every supported torch: this test runs on each of them, see ``nox -s matrix``."""
    path = SNAPSHOTS / f"tests/zoo/test_architectures/test_torchvision[{name}].arch"

    assert recorded(name).to_text().encode() == path.read_bytes()


def test_importing_the_package_loads_no_room():
    """Names come on demand, so that pytest starts as fast as without the plugin."""
    result = run(
        "import sys, pytest_archcheck; print([m for m in sys.modules if m.startswith('pytest_archcheck')])"
    )

    assert result.stdout.strip() == "['pytest_archcheck']"


def test_every_public_name_is_there():
    for name in pytest_archcheck.__all__:
        assert getattr(pytest_archcheck, name) is not None

    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        pytest_archcheck.nothing  # noqa: B018


def test_the_function_trace_is_not_hidden_by_a_module():
    """A submodule of the same name would replace it once imported."""
    result = run(
        "import pytest_archcheck.traces, pytest_archcheck.drift.compare\n"
        "from pytest_archcheck import trace, diff, spec\nprint(callable(trace), callable(diff), callable(spec))"
    )

    assert result.stdout.strip() == "True True True", result.stderr
