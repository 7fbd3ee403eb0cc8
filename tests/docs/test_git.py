"""What docs/commands.md tells git is understood by it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.blocks import ROOT, blocks_of

BLOCKS = blocks_of(ROOT / "docs" / "commands.md")
TEXT = """archcheck 1
model Net() eval
in:x [1,4]
head Linear(in_features=4, out_features=2{})(%in:x) -> [1,2]
output %head [1,2]
param head.weight [2,4]
end
"""


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_git_diff_tells_the_drift_of_every_file(tmp_path):
    """Also of one that came and one that went; a status other than 0 would stop it at the first."""
    settings = next(block.text for block in BLOCKS if block.text.startswith("# git.ini"))
    attributes = next(block.text for block in BLOCKS if block.text.startswith("# .gitattributes"))
    (tmp_path / "git.ini").write_text(settings, "utf-8")
    (tmp_path / ".gitattributes").write_text(attributes, "utf-8")
    environment = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "GIT_CONFIG_GLOBAL": str(tmp_path / "git.ini"),
    }

    def git(*arguments):
        command = ["git", "-c", "user.name=n", "-c", "user.email=e@example.org", *arguments]
        run = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        assert run.returncode == 0, run.stderr
        return run.stdout

    git("init", "-q")
    for name in ("changed", "gone"):
        (tmp_path / f"{name}.arch").write_text(TEXT.format(""), "utf-8")
    git("add", ".")
    git("commit", "-qm", "before")
    (tmp_path / "changed.arch").write_text(TEXT.format(", bias=False"), "utf-8")
    (tmp_path / "gone.arch").unlink()
    (tmp_path / "came.arch").write_text("no rename of another\n", "utf-8")
    git("add", ".")

    told = git("diff", "--cached", "--", "*.arch").splitlines()

    assert [line.rpartition("/")[2] for line in told if line.endswith((": new", ": gone"))] == [
        "came.arch: new",
        "gone.arch: gone",
    ]
    assert any(line.startswith("changed drifted: head bias") for line in told)
