"""Hold every weight of torchvision against its own metadata and write ``docs/accuracy.md``: ``nox -s accuracy``.

``num_params``, ``_ops`` (10⁹ multiply-accumulates, three decimals) and ``_file_size`` (MiB) are torchvision's; ours are
parameters, MACs and size of a trace. Models are built without memory, and weights are never loaded.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest import mock

import torch
import torchvision
from torch import nn
from torchvision.models import WeightsEnum

from pytest_archcheck import trace
from pytest_archcheck.recording import build

HEAD = """# Accuracy

Written by `nox -s accuracy`; do not edit. {versions}.

Every weight that torchvision publishes, against the metadata that comes with it: `num_params` and `_ops` exactly
(`_ops` has three decimals of 10⁹), `_file_size` within 1.2 %, because a file adds its headers. The input is what the
weight's own `transforms()` make of an image of 512 × 512, or of a video of 16 frames.

{summary}

| weight | parameters | published | MACs | published, 10⁹ | MiB | published | |
|---|--:|--:|--:|--:|--:|--:|---|
"""
OTHER_FILES = {
    "googlenet": "the file holds the auxiliary heads, which the model drops",
    "quantized_googlenet": "the file holds the auxiliary heads, which the model drops",
    "quantized_mobilenet_v3_large": "the file holds weights in float",
    "wide_resnet50_2": "the file holds weights in half precision",
    "wide_resnet101_2": "the file holds weights in half precision",
}
HEADER = 700
"""Bytes that a file adds for a tensor, at most: a small file of many tensors is more than 1.2 % larger."""


def weights() -> Iterator[tuple[str, WeightsEnum]]:
    """Every weight once, with the name of its model."""
    seen: set[WeightsEnum] = set()
    for name in torchvision.models.list_models():
        for weight in torchvision.models.get_model_weights(name):
            if weight not in seen:
                seen.add(weight)
                yield name, weight


def built(name: str, weight: WeightsEnum) -> nn.Module:
    """The model that a weight is for, as its builder builds it, with nothing loaded."""
    quantized = {"quantize": True} if name.startswith("quantized_") else {}

    def factory() -> nn.Module:
        return torchvision.models.get_model(name, weights=weight, **quantized)

    needs_values = quantized or name.startswith("regnet")  # whose widths are computed with tensors
    with (
        mock.patch.object(WeightsEnum, "get_state_dict", return_value={}),
        mock.patch.object(nn.Module, "load_state_dict"),
        torch.device("cpu" if needs_values else "meta"),
    ):
        return build(factory)


def inputs(weight: WeightsEnum) -> tuple[Any, ...]:
    """What the weight's transforms make of an image, a video, or a pair of images."""
    transforms = weight.transforms()
    image = torch.zeros(3, 512, 512, dtype=torch.uint8)
    kind = type(transforms).__name__
    if kind == "VideoClassification":
        return (transforms(torch.zeros(16, 3, 512, 512, dtype=torch.uint8)).unsqueeze(0),)
    if kind == "OpticalFlow":
        first, second = transforms(image.unsqueeze(0), image.unsqueeze(0))
        return (first, second)
    if kind == "ObjectDetection":
        return ([transforms(image)],)
    return (transforms(image).unsqueeze(0),)


def is_detection(weight: WeightsEnum) -> bool:
    """Whether what is computed depends on the image."""
    return type(weight.transforms()).__name__ == "ObjectDetection"


def row(name: str, weight: WeightsEnum) -> tuple[str, dict[str, bool]]:
    """A line of the table, and which of the three figures are as published."""
    meta = weight.meta
    model = built(name, weight)
    quantized = name.startswith("quantized_")
    parameters = sum(parameter.numel() for parameter in model.parameters())
    found: dict[str, bool] = {}
    macs, remarks = "–", []
    if is_detection(weight):
        tensors = list(model.state_dict().values())
        size = sum(tensor.numel() * tensor.element_size() for tensor in tensors)
        remarks.append("MACs depend on the image")
    else:
        counted = trace(model, inputs(weight))
        assert counted.status == "complete", (name, counted.status)
        assert counted.params.total == parameters, name
        macs, size = f"{counted.macs:,}", counted.size
        tensors = [tensor for tensor in counted.state if tensor.saved]
        found["_ops"] = round(counted.macs / 1e9, 3) == meta["_ops"]
    if not quantized:
        found["num_params"] = parameters == meta["num_params"]
    published = meta["_file_size"] * 2**20
    found["_file_size"] = abs(size / published - 1) <= 0.012
    if not found["_file_size"]:
        header = (published - size) / len(tensors)
        small = f"the file adds {header:.0f} bytes for each tensor" if 0 < header <= HEADER else ""
        remarks.append(OTHER_FILES.get(name) or small or "**another size**")
    remarks += [f"**another {figure}**" for figure in ("num_params", "_ops") if not found.get(figure, True)]
    line = (
        f"| {name} {weight.name} | {'packed' if quantized else f'{parameters:,}'} | {meta['num_params']:,} "
        f"| {macs} | {meta['_ops']} | {size / 2**20:.2f} | {meta['_file_size']} | {'; '.join(remarks)} |"
    )
    return line, found


def main(chosen: list[str]) -> None:
    """Write the whole page, or print the rows of the models named."""
    warnings.simplefilter("ignore")
    lines: list[str] = []
    counts: dict[str, list[bool]] = {"num_params": [], "_ops": [], "_file_size": []}
    for name, weight in weights():
        if chosen and name not in chosen:
            continue
        line, found = row(name, weight)
        print(line, flush=True)
        lines.append(line)
        for figure, holds in found.items():
            counts[figure].append(holds)
    if chosen:
        return
    summary = "\n".join(f"- `{figure}`: {sum(held)} of {len(held)}" for figure, held in counts.items())
    versions = ", ".join(f"{package} {version(package)}" for package in ("torch", "torchvision"))
    page = HEAD.format(versions=versions, summary=summary) + "\n".join(lines) + "\n"
    (Path(__file__).parent / "accuracy.md").write_text(page, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
