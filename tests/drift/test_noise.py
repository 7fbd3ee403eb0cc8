"""What versions change by themselves is cosmetic, and what is like it and no noise is not."""

import pytest

from pytest_archcheck import Trace, diff
from pytest_archcheck.drift import Severity
from pytest_archcheck.drift.noise import NOISE

TEXT = """archcheck 1
model Net() eval
in:x [4,6]
fc Linear(in_features=6, out_features=6, bias=False)(%in:x) -> [4,6]
:getitem(%fc, (slice(None, None, None), 2)) -> [4]
:quantized.cat((%fc, %fc), scale=0.5, zero_point=3, dim=1) -> [4,12]
mlp.experts:float(%:getitem) -> [4]
mlp.experts:histc(%mlp.experts:float) -> [4]
mlp.experts:transformers.grouped_mm_fallback(%in:x, %mlp.experts:histc) -> [4,6]
output "[0]" %mlp.experts:transformers.grouped_mm_fallback [4,6]
output "[1]" %:quantized.cat [4,12]
module mlp Sequential()
module mlp.experts mine.Experts()
param fc.weight [6,6]
end
"""

SAME = [
    ("(slice(None, None, None), 2)", "(Ellipsis, 2)"),
    ("(slice(None, None, None), 2)", "(slice(0, None, 1), 2)"),
    ("scale=0.5", "scale=0.25"),
    ("zero_point=3", "zero_point=7"),
    ("experts:transformers.grouped_mm_fallback", "experts:grouped_mm"),
]
OTHER = [
    ("(slice(None, None, None), 2)", "(Ellipsis, 3)"),
    ("(slice(None, None, None), 2)", "(2, slice(None, None, None))"),
    ("(slice(None, None, None), 2)", "(slice(1, None, None), 2)"),
    ("dim=1", "dim=0"),
    ("quantized.cat((%fc, %fc), scale=0.5", "mine.cat((%fc, %fc), scale=0.25"),
    ("experts:transformers.grouped_mm_fallback", "experts:bmm"),
]


@pytest.mark.parametrize(("old", "new"), SAME)
def test_noise_is_cosmetic(old, new):
    drift = diff(Trace.from_text(TEXT), Trace.from_text(TEXT.replace(old, new)))

    assert drift.severity == Severity.COSMETIC


@pytest.mark.parametrize(("old", "new"), OTHER)
def test_what_is_like_noise_is_told(old, new):
    text = TEXT.replace(old, new).replace(
        "%:quantized.cat", "%:mine.cat" if "mine.cat" in new else "%:quantized.cat"
    )
    drift = diff(Trace.from_text(TEXT), Trace.from_text(text))

    assert drift.severity >= Severity.BEHAVIOUR


def test_each_kind_of_noise_has_its_evidence():
    for noise in NOISE:
        assert noise.what
        assert any(sign.isdigit() for sign in noise.evidence)
