"""Pictures: every counted layer in one node, shortcuts as edges, few nodes, and names that are text."""

import re
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from torch import nn

from pytest_archcheck import Trace, diff, trace
from pytest_archcheck.graph.picture import Cluster, picture
from pytest_archcheck.reports.dot import dot
from pytest_archcheck.reports.drawing import draw, svg
from pytest_archcheck.reports.mermaid import mermaid
from tests.models import builder, image, recorded

ZOO = sorted((Path(__file__).parents[2] / "snapshots/tests/zoo/test_architectures").rglob("*.arch"))
SVG = "{http://www.w3.org/2000/svg}"


def clusters_in(members):
    for member in members:
        if isinstance(member, Cluster):
            yield member
            yield from clusters_in(member.members)


def texts_in(drawn):
    """All text of an SVG, with the tooltips."""
    root = ET.fromstring(drawn)
    tips = [value for element in root.iter() for key, value in element.items() if key.endswith("title")]
    return " ".join(["".join(element.itertext()) for element in root.iter(f"{SVG}text")] + tips)


@pytest.mark.parametrize(
    ("name", "depth"), [("resnet18", 18), ("resnet50", 50), ("vgg16", 16), ("densenet121", 121)]
)
def test_every_counted_layer_is_in_one_marked_node(name, depth):
    """Published depths; marked nodes are those that count."""
    model = recorded(name)

    found = picture(model)

    counted = Counter(layer for node in found.nodes for layer in node.counted)
    assert counted == Counter(layer.name for layer in model.explain_depth("paper").counted)
    assert sum(node.depth for node in found.nodes) == found.depth == depth
    assert all(node.on_path for node in found.nodes if node.depth)
    assert sum(node.macs for node in found.nodes) == model.macs
    assert sum(node.params for node in found.nodes) == model.params.total


@pytest.mark.parametrize("path", ZOO[::9], ids=lambda path: path.stem)
def test_the_zoo_fits_on_a_page(path):
    model = Trace.from_text(path.read_text("utf-8"))

    found = picture(model)

    names = [node.id for node in found.nodes]
    assert 3 <= len(names) <= 80
    assert len(set(names)) == len(names)
    assert all(edge.source in names and edge.target in names for edge in found.edges)
    assert sum(node.depth for node in found.nodes) == model.depth("paper")


@pytest.mark.parametrize("path", ZOO[::36], ids=lambda path: path.stem)
def test_graphviz_draws_the_zoo(path):
    drawn = draw(dot(picture(Trace.from_text(path.read_text("utf-8")))), "svg")

    assert ET.fromstring(drawn).tag == f"{SVG}svg"


def test_blocks_that_are_alike_are_drawn_once():
    found = picture(recorded("resnet50"))

    blocks = [(each.name, each.times) for each in clusters_in(found.members) if each.is_block]
    assert blocks[:4] == [("layer1.0", 1), ("layer1.{1,2}", 2), ("layer2.0", 1), ("layer2.{1-3}", 3)]
    stages = [(each.what, each.output) for each in clusters_in(found.members) if not each.is_block]
    assert stages == [
        ("3 × Bottleneck", "256×56×56"),
        ("4 × Bottleneck", "512×28×28"),
        ("6 × Bottleneck", "1024×14×14"),
        ("3 × Bottleneck", "2048×7×7"),
    ]


def test_what_follows_a_layer_is_in_its_node():
    node = next(node for node in picture(recorded("resnet50")).nodes if node.name == "layer2.0.conv2")

    assert (node.title, node.what, node.then, node.output) == (
        "conv2",
        "Conv2d 3×3 /2, 128",
        ("bn2", "relu"),
        "128×28×28",
    )


def test_shortcuts_are_edges_of_their_kind():
    """ResNet-50: one projection, of two edges, and one identity of the folded blocks in each of four stages."""
    found = picture(recorded("resnet50"))

    assert Counter(edge.shortcut for edge in found.edges if edge.shortcut) == {"projection": 8, "identity": 4}
    sums = {node.id for node in found.nodes if node.what == "+"}
    assert all(edge.target in sums for edge in found.edges if edge.shortcut == "identity")


def test_the_path_of_the_longest_path_convention_leads_through_gates():
    found = picture(recorded("efficientnet_b0"), convention="longest-path")

    assert found.depth == recorded("efficientnet_b0").depth("longest-path")
    assert any(edge.on_path for edge in found.edges)


def v1(name="resnet50"):
    """ResNet-50 with the stride in the 1×1 convolutions."""
    model = builder(name)()
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    return trace(model, image(name), device="meta")


def test_a_drift_colours_the_layers_that_changed():
    """A stride moved in three blocks: six convolutions."""
    after = v1()

    found = picture(after, diff(recorded("resnet50"), after))

    changed = {node.name: node.changes for node in found.nodes if node.severity is not None}
    assert changed == {
        f"layer{stage}.0.conv{number}": (
            "stride (1, 1) → (2, 2)" if number == 1 else "stride (2, 2) → (1, 1)",
        )
        for stage in (2, 3, 4)
        for number in (1, 2)
    }
    assert {str(node.severity) for node in found.nodes if node.severity} == {"behaviour"}
    assert dot(found).count("[behaviour] stride") == 6
    assert mermaid(found).count(":::behaviour") == 6
    assert "drifted: " in dot(found)


def test_a_block_that_drifted_is_not_folded_with_those_that_did_not():
    model = builder("resnet50")()
    model.layer3[3].bn2.eps = 0.5
    after = trace(model, image("resnet50"), device="meta")

    found = picture(after, diff(recorded("resnet50"), after))

    blocks = [each.name for each in clusters_in(found.members) if each.name.startswith("layer3.")]
    assert blocks == ["layer3.0", "layer3.{1,2}", "layer3.3", "layer3.{4,5}"]
    assert [(n.name, n.changes) for n in found.nodes if n.severity] == [
        ("layer3.3.conv2", ("layer3.3.bn2 eps 1e-05 → 0.5",))
    ]


def test_what_is_gone_is_a_node_of_its_own():
    before = trace(Pooled(True), (1, 3, 32, 32))
    after = trace(Pooled(False), (1, 3, 32, 32))
    found = picture(after, diff(before, after))
    gone = next(node for node in found.nodes if node.kind == "gone")
    assert gone.name == ":max_pool2d"
    assert {edge.target for edge in found.edges if edge.source == gone.id}


class Pooled(nn.Module):
    def __init__(self, pools):
        super().__init__()
        self.pools = pools
        self.first, self.second = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 3)

    def forward(self, x):
        x = self.first(x)
        return self.second(nn.functional.max_pool2d(x, 2) if self.pools else x)


HOSTILE = ['a"b', "<script>alert(1)</script>", "x&y", "back\\slash", "{r|s}", "two\nlines", "ünï→", "end"]


def test_hostile_names_are_text():
    model = nn.Sequential()
    for name in HOSTILE:
        model.add_module(name, nn.Conv2d(4, 4, 1))
    found = picture(trace(model, (1, 4, 8, 8)))

    drawn = svg(trace(model, (1, 4, 8, 8)))
    assert drawn is not None
    assert "<script" not in drawn
    told = texts_in(drawn)
    assert all(name.replace("\n", " ") in told for name in HOSTILE)
    flow = mermaid(found)
    assert "<script" not in flow
    assert len(flow.splitlines()) == len(mermaid(picture(trace(plain(), (1, 4, 8, 8)))).splitlines())
    labels = re.findall(r'\["(.*)"\]', flow)
    assert not any('"' in label or "<s" in label for label in labels)


def plain():
    return nn.Sequential(*(nn.Conv2d(4, 4, 1) for _ in HOSTILE))


def test_an_svg_can_stand_in_a_page():
    drawn = svg(recorded("resnet18"))

    assert drawn is not None
    assert drawn.startswith("<svg")
    assert drawn.endswith("</svg>")
    assert "href" not in drawn.replace("xlink:title", "").replace("http://www.w3.org/1999/xlink", "")
    assert "depth 18 (paper) · 11,689,512 parameters" in texts_in(drawn).replace("\xa0", " ")


def test_the_text_is_the_same_every_time():
    text = recorded("googlenet").to_text()

    assert len({dot(picture(Trace.from_text(text))) for _ in range(2)}) == 1
    assert len({mermaid(picture(Trace.from_text(text))) for _ in range(2)}) == 1
