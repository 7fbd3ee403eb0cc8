"""Runs of real traces to make pages of, and pages read as a tree."""

import functools
import json
from html.parser import HTMLParser
from pathlib import Path

from pytest_archcheck.reports.page import render
from pytest_archcheck.reports.run import Checked, Compared, Run, Statement

ZOO = Path(__file__).parents[2] / "snapshots/tests/zoo/test_architectures"
MODELS = {
    "resnet50": "test_torchvision[resnet50]",
    "efficientnet_b7": "test_torchvision[efficientnet_b7]",
    "vit_b_16": "test_torchvision[vit_b_16]",
    "densenet121": "test_torchvision[densenet121]",
}
HOSTILE = "</script><img src=x onerror=alert(1)>"
VERSIONS = {"pytest-archcheck": "0.1", "torch": "2.15.0", "Python": "3.11.9"}

PARTIAL = """archcheck 1
model demo.Net() eval
in:x [1,8]
first Linear(in_features=8, out_features=4)(%in:x) -> [1,4]
mystery demo.Opaque()(%first) -> [1,4]
output %mystery [1,4]
param first.weight [4,8]
param first.bias [4]
param never.weight [3]
end
"""


@functools.cache
def text_of(name):
    return (ZOO / f"{MODELS[name]}.arch").read_text("utf-8")


def before_the_stride():
    """ResNet-50 with the stride of its second stage in the first convolution, as in its version 1."""
    lines = text_of("resnet50").splitlines()
    for at, line in enumerate(lines):
        if line.startswith("layer2.0.conv1 "):
            lines[at] = line.replace("kernel_size=(1, 1),", "kernel_size=(1, 1), stride=(2, 2),")
        if line.startswith("layer2.0.conv2 "):
            lines[at] = line.replace("stride=(2, 2), ", "")
    return "\n".join(lines).replace("[1,128,56,56]", "[1,128,28,28]") + "\n"


def typical():
    """A drifted ResNet-50, models that pass, a partial count, and a test that recorded nothing."""
    violated = Statement(
        "arch_macs('3.86G')", 2, "the model", "3.86G", "4,089,184,256", "counted from shapes"
    )
    drifted = Compared("resnet50", "drifted", "behaviour", "resnet50 drifted: stride", before_the_stride())
    depth = Statement("arch_depth(50, convention='paper')")
    checked = (
        Checked("t.py::test_resnet50", "failed", "resnet50", "meta", 0.08, (), (depth, violated), (drifted,)),
        Checked(
            "t.py::test_b7", "passed", "efficientnet_b7", "meta", 0.42, (), (), (Compared("b7", "same"),)
        ),
        Checked("t.py::test_vit", "passed", "vit_b_16", "meta", None, (), (depth,)),
        Checked("t.py::test_dense", "passed", "densenet121", "cpu", 1.25, ("meta: needs values",)),
        Checked("t.py::test_partial", "passed", "partial", "meta", 0.01),
        Checked("t.py::test_broken", "error", statements=(depth,)),
    )
    texts = {name: text_of(name) for name in MODELS} | {"partial": PARTIAL}
    return Run(checked, texts, VERSIONS, ("breaking", "behaviour"))


def hostile():
    """Markup in the name of every thing that has one."""
    text = PARTIAL.replace("mystery", json.dumps(HOSTILE)).replace("demo.Net", json.dumps(HOSTILE))
    before = text.replace("[1,8]", "[2,8]")
    statement = Statement(HOSTILE, 1, HOSTILE, HOSTILE, HOSTILE, HOSTILE)
    compared = Compared(HOSTILE, "drifted", "breaking", HOSTILE, before)
    test = Checked(HOSTILE, "failed", HOSTILE, HOSTILE, 1.0, (HOSTILE,), (statement,), (compared,))
    return Run((test,), {HOSTILE: text}, {HOSTILE: HOSTILE})


def picture(trace, drift):
    """A drawing that stands for the graph."""
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 10 10" width="10" height="10">'
        f"<title>{len(trace)} calls{', drifted' if drift else ''}</title></svg>"
    )


def page_of(run, svg=picture):
    return render(run, svg)


class Page(HTMLParser):
    """A page's elements in order: tags with attributes, the text of each, and the data of models and graphs."""

    def __init__(self, html):
        super().__init__()
        self.elements = []
        self.texts = []
        self.data = {"model": {}, "graph": {}}
        self._cells = []
        self._script = None
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.elements.append((tag, attributes))
        if tag == "script":
            self._script = attributes

    def handle_endtag(self, tag):
        if tag == "script":
            self._script = None

    def handle_data(self, data):
        if self._script is None:
            self.texts.append(data)
            return
        for what, found in self.data.items():
            if f"data-{what}" in self._script:
                found[self._script[f"data-{what}"]] = json.loads(data)

    @property
    def text(self):
        return "\n".join(self.texts)
