"""The page of a run, read without a browser: its figures are the traces' own, its names text, and it loads nothing."""

import re
from html import unescape
from importlib.resources import files

import pytest

from pytest_archcheck import Trace, diff
from pytest_archcheck.graph.conventions import convention_names
from pytest_archcheck.reports.model_data import UNIT
from pytest_archcheck.reports.overview import verdict
from pytest_archcheck.reports.run import Checked, Compared, Run, Statement
from pytest_archcheck.reports.side_by_side import aligned
from tests.integration.report_runs import (
    HOSTILE,
    MODELS,
    PARTIAL,
    Page,
    before_the_stride,
    hostile,
    page_of,
    text_of,
    typical,
)

PARTS = files("pytest_archcheck.reports") / "page"


@pytest.fixture(scope="module")
def html():
    return page_of(typical())


@pytest.fixture(scope="module")
def page(html):
    return Page(html)


def traced(name):
    return Trace.from_text(PARTIAL if name == "partial" else text_of(name))


NAMES = [*MODELS, "partial"]


@pytest.mark.parametrize("name", NAMES)
def test_the_numbers_of_a_model_are_those_of_its_trace(page, name):
    trace = traced(name)

    data = page.data["model"][name]

    assert data["numbers"] == {
        "params": trace.params.total,
        "trainable": trace.params.trainable,
        "buffers": trace.params.buffers,
        "macs": trace.macs,
        "flops": 2 * trace.macs,
        "bytes": trace.size,
        "status": trace.status,
        "stages": list(trace.stages),
        "layers": len(trace.layers),
        "ops": len(trace.ops),
    }
    assert [(each["convention"], each["depth"]) for each in data["depths"]] == [
        (convention, trace.depth(convention)) for convention in convention_names()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_every_call_is_a_unit_of_the_tree_once(page, name):
    """Each is reached from the top by exactly one row, itself or in a run of those like it."""
    data = page.data["model"][name]

    reached = []
    waiting = list(data["top"])
    while waiting:
        row = waiting.pop()
        for number in [row] if isinstance(row, int) else row[1]:
            reached.append(number)
            waiting += data["units"][number][UNIT.index("rows")]

    assert sorted(reached) == list(range(len(data["units"])))
    assert [unit[0] for unit in data["units"]] == [call.id for call in traced(name)]


@pytest.mark.parametrize("name", NAMES)
def test_the_rows_of_the_tree_sum_up_to_the_trace(page, name):
    trace, data = traced(name), page.data["model"][name]
    top = [number for row in data["top"] for number in ([row] if isinstance(row, int) else row[1])]

    def total(figure):
        return sum(data["units"][number][UNIT.index(figure)] for number in top)

    assert total("macs") == trace.macs
    assert total("depth") == trace.depth("paper")
    assert total("params") + sum(params for _, _, params in data["unused"]) == trace.params.total


@pytest.mark.parametrize("name", NAMES)
def test_the_bars_of_the_costs_sum_up_to_the_trace(page, name):
    trace, shares = traced(name), page.data["model"][name]["shares"]

    assert sum(macs for _, macs, _ in shares) == trace.macs
    assert sum(params for _, _, params in shares) == trace.params.total


def test_the_costs_are_those_of_stem_stages_and_head(page):
    """ResNet-50's head is its one linear layer: 2048 × 1000 products, and 1000 biases more of parameters."""
    shares = page.data["model"]["resnet50"]["shares"]

    assert [part for part, _, _ in shares] == ["stem", "stage 1", "stage 2", "stage 3", "stage 4", "head"]
    assert shares[-1] == ["head", 2_048_000, 2_049_000]


def test_blocks_that_are_alike_are_one_row(page):
    data = page.data["model"]["resnet50"]
    stage = next(unit for unit in data["units"] if unit[0] == "layer3")

    rows = stage[UNIT.index("rows")]

    assert isinstance(rows[0], int)
    assert rows[1][0] == "layer3.{1-5}"
    assert len(rows[1][1]) == 5


@pytest.mark.parametrize("name", NAMES)
def test_what_the_convention_counted_is_marked_in_the_tree_and_listed(page, name):
    explanation, data = traced(name).explain_depth("paper"), page.data["model"][name]

    verdicts = {unit[0]: unit[UNIT.index("verdict")] for unit in data["units"]}

    assert {n: v for n, v in verdicts.items() if isinstance(v, int)} == {
        layer.name: layer.weight for layer in explanation.counted
    }
    listed = [tuple(layer) for _, layers in data["counted"] for layer in layers]
    assert listed == [(layer.name, layer.weight) for layer in explanation.counted]
    assert sorted(layer for _, layers in data["leftOut"] for layer in layers) == sorted(
        layer.name for layer in explanation.left_out
    )


def test_the_table_of_tests_has_the_figures(page):
    trace = traced("efficientnet_b7")

    assert f"{trace.params.total:,}" in page.texts
    assert f"{trace.macs:,}" in page.texts
    assert "partial: mystery not counted" in page.texts
    assert "meta: needs values" in page.texts
    assert "shared" in page.texts  # the recording of another test


def test_every_statement_has_a_row(page):
    """Of a test that recorded nothing they are not judged, rather than true."""
    at = page.texts.index("arch_macs('3.86G')")

    assert page.texts[at : at + 4] == [
        "arch_macs('3.86G')",
        "3.86G",
        "4,089,184,256",
        "counted from shapes · and 1 more",
    ]
    assert page.texts.count("arch_depth(50, convention='paper')") == 3
    assert page.texts.count("holds") == 2
    assert page.texts.count("not judged") == 1
    assert page.texts.count("violated") == 1


def test_a_violation_in_a_layer_names_it():
    statement = Statement("arch_shapes", 1, "layer2", "[1,128]", "[1,64]")
    page = Page(page_of(Run((Checked("t", "failed", "m", statements=(statement,)),), {"m": PARTIAL})))

    assert "layer2: [1,64]" in page.texts


def test_the_drift_is_told_with_its_causes_and_lines(page):
    (told,) = page.data["model"]["resnet50"]["drifts"]
    drift = diff(Trace.from_text(before_the_stride()), traced("resnet50"))

    assert told["causes"] == [[str(group.first.severity), str(group)] for group in drift.groups]
    assert ["MACs", f"{drift.before.macs:,}", f"{drift.after.macs:,}"] in told["totals"]
    changed = [line for line in told["lines"] if isinstance(line, list) and line[1] != line[3]]
    assert any("stride=(2, 2)" in before and "stride=(2, 2)" not in after for _, before, _, after in changed)


def test_lines_of_one_layer_stand_beside_each_other():
    before = ["same", "a Conv2d(3)", "b ReLU()", "gone X()", "end"]
    after = ["same", "a Conv2d(4)", "new Y()", "b ReLU(inplace)", "end"]

    assert list(aligned(before, after)) == [
        (1, "same", 1, "same"),
        (2, "a Conv2d(3)", 2, "a Conv2d(4)"),
        (None, None, 3, "new Y()"),
        (3, "b ReLU()", 4, "b ReLU(inplace)"),
        (4, "gone X()", None, None),
        (5, "end", 5, "end"),
    ]


def test_equal_lines_far_from_a_change_are_a_number():
    lines = [f"line{number}" for number in range(20)]

    found = list(aligned(lines, [*lines[:10], "changed", *lines[11:]]))

    assert found[0] == found[-1] + 1 == 7
    assert sum(row if isinstance(row, int) else 1 for row in found) == 21
    assert (11, "line10", None, None) in found


def test_a_snapshot_that_cannot_be_read_says_why():
    test = Checked("t", "failed", "m", snapshots=(Compared("old", "unreadable", before="archcheck 1\n???"),))

    (told,) = Page(page_of(Run((test,), {"m": PARTIAL}))).data["model"]["m"]["drifts"]

    assert "line" in told["verdict"]
    assert "lines" not in told


@pytest.mark.parametrize(
    ("checked", "texts", "expected"),
    [
        ((), (), "0 architectures checked in 0 tests"),
        (
            (Checked("a", "passed", "x"),),
            "x",
            "1 architecture checked in 1 test, all as stated, 1 partial count",
        ),
        (
            (
                Checked("a", "failed", "x", snapshots=(Compared("a", "drifted", "behaviour"),)),
                Checked("b", "failed", "x", snapshots=(Compared("b", "drifted", "breaking"),)),
                Checked("c", "passed", "x", snapshots=(Compared("c", "tolerated", "cosmetic"),)),
                Checked("d", "failed", "x", statements=(Statement("s", 1), Statement("t"))),
            ),
            "",
            "1 architecture checked in 4 tests, 2 drifted (1 breaking, 1 behaviour), 1 tolerated drift, "
            "1 statement violated, 3 tests failed",
        ),
    ],
)
def test_the_verdict(checked, texts, expected):
    assert verdict(Run(checked, dict.fromkeys(texts, PARTIAL))) == expected


def test_the_graph_is_drawn_with_its_drift(page):
    assert "199 calls, drifted" in page.data["graph"]["resnet50"]
    assert "drifted" not in page.data["graph"]["vit_b_16"]


def test_the_page_names_nothing_to_load(page, html):
    """No element of it has an address but its own anchors and the empty icon."""
    addresses = [
        value
        for _, attributes in page.elements
        for key, value in attributes.items()
        if key in ("src", "href", "action", "srcset", "data", "poster")
    ]

    assert {address for address in addresses if not address.startswith("#")} == {"data:,"}
    assert not re.search(r"@import|url\(", PARTS.joinpath("page.css").read_text("utf-8"))
    assert "default-src 'none'; script-src 'sha256-" in unescape(html)


def test_names_are_text_and_never_markup():
    """Names of tests, models, layers, notes, snapshots and versions."""
    page = Page(page_of(hostile()))

    assert not any(tag == "img" for tag, _ in page.elements)
    assert sum(tag == "script" for tag, _ in page.elements) == 3
    assert page.texts.count(HOSTILE) >= 8
    assert page.data["model"][HOSTILE]["units"][1][0] == HOSTILE


def test_line_separators_do_not_end_a_script():
    html = page_of(
        Run((Checked("t", "passed", "\u2028"),), {"\u2028": PARTIAL.replace("demo.Opaque", '"\u2029"')})
    )

    assert "\u2029" not in html


def luminance(colour):
    channels = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(first, second):
    dark, light = sorted((luminance(first), luminance(second)))
    return (light + 0.05) / (dark + 0.05)


COLOURS = {
    name: pair
    for name, *pair in re.findall(
        r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", PARTS.joinpath("page.css").read_text("utf-8")
    )
}


@pytest.mark.parametrize("theme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("text", "behind", "least"),
    [
        *((text, behind, 4.5) for text in ("text", "quiet") for behind in ("page", "surface", "accent-soft")),
        *(
            (kind, behind, 4.5)
            for kind in ("good", "bad", "warn", "accent")
            for behind in ("page", f"{kind}-soft")
        ),
        *(("text", f"{kind}-soft", 4.5) for kind in ("good", "bad", "warn")),
        ("edge", "page", 3),
        ("accent", "page", 3),
    ],
)
def test_text_and_controls_stand_out_as_wcag_aa_asks(text, behind, least, theme):
    assert contrast(COLOURS[text][theme], COLOURS[behind][theme]) >= least
