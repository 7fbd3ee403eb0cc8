"""What this project, torchinfo and torchview show of the same two models: rows, numbers and the size of drawings.

``python bench/pictures.py``, with the extra ``bench`` and Graphviz. The figures of docs/reports.md are its.
"""

from __future__ import annotations

import re
import warnings
from importlib.metadata import version

import torchinfo
import torchvision
from measure import versions
from torchview import draw_graph

from pytest_archcheck import trace
from pytest_archcheck.graph.picture import picture
from pytest_archcheck.reports.dot import dot
from pytest_archcheck.reports.drawing import draw
from pytest_archcheck.reports.table import markdown

IMAGE = (1, 3, 224, 224)
warnings.simplefilter("ignore")


def size(svg: str) -> str:
    """Width and height of a drawing."""
    width, height = re.findall(r'<svg width="(\d+)\w*" height="(\d+)', svg)[0]
    return f"{width} × {height} pt"


if __name__ == "__main__":
    print(versions("torch", "torchvision"))
    print(f"torchinfo {version('torchinfo')}, torchview {version('torchview')}\n")
    resnet, vit = torchvision.models.resnet50, torchvision.models.vit_b_16
    ours = trace(resnet, IMAGE, device="meta")
    drawn = picture(ours)
    table = [line for line in markdown(ours).splitlines() if line.startswith("|")]
    print(f"here: {len(table) - 2} rows, {len(drawn.nodes)} nodes, {size(draw(dot(drawn), 'svg').decode())}")
    print(f"here, ViT-B/16: {trace(vit, IMAGE, device='meta').macs:,} MACs")
    for depth in (3, 2):
        lines = str(torchinfo.summary(resnet(), IMAGE, verbose=0, depth=depth)).splitlines()
        print(f"torchinfo, depth {depth}: {len(lines)} lines")
    print(f"torchinfo, ViT-B/16: {torchinfo.summary(vit(), IMAGE, verbose=0).total_mult_adds:,} mult-adds")
    for name, options in (
        ("", {}),
        (", nested and rolled", {"expand_nested": True, "depth": 3, "roll": True}),
    ):
        graph = draw_graph(resnet(), input_size=IMAGE, device="meta", **options).visual_graph
        nodes = graph.source.count("label=<")
        print(f"torchview{name}: {nodes} nodes, {size(graph.pipe('svg').decode())}")
