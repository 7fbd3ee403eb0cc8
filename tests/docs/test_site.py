"""The site is built without a warning, and says all that is public."""

import re
import subprocess
import sys
from importlib.util import find_spec

import pytest

import pytest_archcheck
from tests.docs.blocks import ROOT

DOCS = ROOT / "docs"


def test_the_site_is_built_without_a_warning(tmp_path):
    """Every page is in the table of contents, every reference leads somewhere, every docstring can be read."""
    if not all(map(find_spec, ("sphinx", "furo", "myst_parser"))):
        pytest.skip("needs the extra 'docs'")
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(DOCS), str(tmp_path)]

    run = subprocess.run(command, capture_output=True, text=True, encoding="utf-8", check=False, cwd=ROOT)

    assert (run.returncode, run.stderr) == (0, "")
    assert {path.stem for path in DOCS.glob("*.md")} <= {path.stem for path in tmp_path.glob("*.html")}


def test_every_public_name_is_in_the_reference():
    text = (DOCS / "api.md").read_text("utf-8")

    told = set(re.findall(r"\bpytest_archcheck\.(\w+)$", text, re.MULTILINE)) | {"__version__"}
    assert told == set(pytest_archcheck.__all__)
