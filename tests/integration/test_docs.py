"""What the documentation says and no code block of it shows; ``tests/docs`` runs those."""

import re
from pathlib import Path

from pytest_archcheck.drift.noise import NOISE
from pytest_archcheck.records import Op, TensorSpec

DOCS = Path(__file__).parents[2] / "docs"
COSTS = (DOCS / "costs.md").read_text("utf-8")


def test_the_noise_that_the_page_tells_is_in_the_table():
    text = (DOCS / "drift.md").read_text("utf-8")

    assert text.count("| a table, [`drift/noise.py`]") + text.count("| the same |") == len(NOISE)


def test_the_formula_of_the_example_is_what_attention_costs(monkeypatch):
    """And it can be registered."""
    from pytest_archcheck.costs import formulas

    monkeypatch.setattr(formulas._REGISTRY, "_functions", {})
    block = next(b for b in re.findall(r"```python\n(.*?)```", COSTS, re.DOTALL) if "@mac_formula" in b)
    names = {}
    exec(block, names)
    shapes = ((2, 4, 7, 16), (2, 4, 9, 16), (2, 4, 9, 8))
    call = Op("", "f", 1, (), {}, tuple(TensorSpec(shape) for shape in shapes), ())

    assert names["fused_attention"](call) == 2 * 4 * 7 * 9 * (16 + 8)
