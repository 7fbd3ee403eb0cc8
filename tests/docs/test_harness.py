"""A block that does not do what it shows fails, and says on which page and line."""

import os
import sys

import pytest

from tests.docs.blocks import run_page
from tests.docs.commands import mismatch

WRONG = [
    ("```python\n>>> 1 + 1\n2\n>>> 1 + 1\n3\n```", 5, "Expected:\n    3\nGot:\n    2"),
    ("```python\nx = 1\nx.y\n```", 4, "'int' object has no attribute 'y'"),
    ("```python\nx = 1\nx = (\n```", 4, "'(' was never closed"),
    ("```python\n# net.py\nx = (\n```", 3, "net.py cannot be read: '(' was never closed"),
    ("```python\n# ../net.py\n```", 3, "../net.py lies outside of the page's folder"),
    ("```toml\n# a.toml\nx = [\n```", 3, "a.toml cannot be read"),
    ("```ini\n[pytest]\n```", 3, "a ini block begins with a comment with a path"),
    ("```yaml\n# a.yml\nx: [\n```", 3, "a.yml cannot be read"),
    ("```console\n$ python -c 1/0\n```", 3, "exit status 1: python -c 1/0\n    Traceback"),
    ("```console\n$ python -c 'print(1)'\n1\n2\n```", 5, "not printed here: '2'\nexit status 0"),
    ("```console\n$ pytest nothing\n```", 3, "exit status 4: pytest nothing\n"),
    ("```console\n$ archcheck nothing\n```", 3, "exit status 2: archcheck nothing\n"),
    ("```console\n$ rm x\n```", 3, "'rm' is none of the commands that run here: archcheck, cat, pytest"),
    ("```console\npytest\n```", 3, "the first line of a console block is a command after '$ '"),
    ("```sh\npip install x\npytest\n```", 4, "'pytest' could be run, in a console block"),
    ("```rust\nfn\n```", 3, "nothing runs a block of the language 'rust'"),
    ("```\nx\n```", 3, "nothing runs a block of the language ''"),
    ("    x = 1", 2, "nothing runs a block of the language ''"),
]


@pytest.fixture
def wrong(tmp_path):
    """What is wrong with a page of this text."""

    def run(text):
        page, folder = tmp_path / "page.md", tmp_path / "folder"
        page.write_text(text, "utf-8")
        folder.mkdir()
        return run_page(page, folder).wrong

    return run


def test_a_page_in_order_with_one_namespace_and_folder(wrong):
    """Values, files, modules, settings and printed lines go from block to block."""
    assert not wrong(
        """
```python
width = 8
```

- in a list

  ```python
  >>> width * 2
  16
  ```

```python
# net.py
WIDTH = 3
```

```python
>>> import net
>>> net.WIDTH
3
```

```python
# net.py
WIDTH = 4
```

```python
# test_net.py
import net

def test_width():
    print(net.WIDTH)
```

```toml
# pyproject.toml
[tool.pytest.ini_options]
addopts = "-s"
```

```console
$ pytest test_net.py
…
test_net.py 4
.

…1 passed in …
$ python -c "import net; \
    print(net.WIDTH)" > width.txt
$ cat width.txt
4
$ X=1 python -c "import os; print('CI' in os.environ, os.environ['X'])"
False 1
$ archcheck --version
archcheck …
```

```text
anything
```

```sh
.venv/bin/pip install nox && nox -s tests  # here
```
"""
    )


@pytest.mark.parametrize(
    ("block", "line", "what"), WRONG, ids=[what.partition("\n")[0] for *_, what in WRONG]
)
def test_what_does_not_hold_is_told_with_page_and_line(wrong, block, line, what):
    [told] = wrong(f"\n{block}\n")

    assert told.startswith(f"page.md:{line}: ")
    assert what in told


def test_every_block_that_does_not_hold_is_told(wrong):
    assert len(wrong("```python\n1 / 0\n```\n\n```python\n>>> 1\n2\n>>> 2\n3\n```\n")) == 3


def test_a_page_leaves_nothing_behind(wrong):
    modules, where, path = set(sys.modules), os.getcwd(), list(sys.path)

    assert not wrong(
        """
```python
# mine.py
from pytest_archcheck import convention, mac_formula

@convention("mine")
def mine(trace):
    "Mine."
    return []

mac_formula("mine.f")(mine)
```

```python
import mine
```
"""
    )

    from pytest_archcheck.costs import formulas
    from pytest_archcheck.graph import conventions

    assert (os.getcwd(), sys.path) == (where, path)
    assert "mine" not in set(sys.modules) - modules
    assert "mine" not in conventions.convention_names()
    assert "mine.f" not in formulas._REGISTRY._functions


def test_a_block_that_needs_what_is_not_there_is_told_as_not_run(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "<!-- needs nothing-like-it -->\n```python\n1 / 0\n```\n\n<!-- needs pytest<1 -->\n\n```python\n1 / 0\n```\n\n"
        "<!-- needs pytest>=8 -->\n```python\nx = 1\n```\n\n```python\n>>> x\n1\n```\n",
        "utf-8",
    )

    outcome = run_page(page, tmp_path)

    assert outcome.wrong == []
    assert outcome.unrun == ["page.md:3 needs nothing-like-it", "page.md:9 needs pytest<1"]


@pytest.mark.parametrize(
    ("shown", "printed", "where"),
    [
        ("a b", "a b", None),
        ("a", "a b", 0),  # more was printed
        ("a …", "a b", None),
        ("a … c", "a b c", None),
        ("… b", "a b", None),
        ("… b", "b a", 1),
        ("a b …", "a c", 1),
        ("… b c …", "a b x b c d", None),
        ("… b d …", "a b x b c d", 2),
        ("a … b … c", "a b x c", None),
        ("a … a", "a", 2),  # one line is not two
        ("… c", "c c", None),
        ("… c", "c d", 1),
        ("…", "", None),
        ("a", "", 0),
        ("x…z", "xyz", None),
        ("x…z", "xy", 0),
    ],
)
def test_what_is_shown_is_printed_in_order_and_without_gaps(shown, printed, where):
    wrong = mismatch(shown.split(), printed.split())

    assert (wrong and wrong[0]) == where
