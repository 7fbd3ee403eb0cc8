"""The committed snapshots of the zoo, and what of them is another in the installed releases.

A snapshot is the architecture on the newest torch. Where an upstream release really computes something else, what it
computes is committed beside this file, with the releases and the reason here.
"""

from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import pytest
from packaging.specifiers import SpecifierSet
from packaging.version import Version

SNAPSHOTS = Path(__file__).parents[2] / "snapshots"
ZOO = SNAPSHOTS / "tests" / "zoo" / "test_architectures"
OVERLAID = Path(__file__).parent / "overlays"

needs_transformers = pytest.mark.skipif(
    Version(version("torch")) < Version("2.6"), reason="transformers 5 needs torch 2.6 or newer"
)


class Overlay(NamedTuple):
    """An architecture that is another with some releases of torch."""

    model: str
    torch: str
    """The releases, as in ``>=2.8,<2.10``."""
    reason: str
    path: Path


_EXPERTS = "transformers 5.23 chooses by the version of torch what multiplies the rows of the experts: "
OVERLAYS = (
    Overlay(
        "MixtralForCausalLM",
        "<2.8",
        _EXPERTS + "a loop over the experts of its own (integrations/moe.py)",
        OVERLAID / "torch-2.6" / "MixtralForCausalLM.arch",
    ),
    Overlay(
        "MixtralForCausalLM",
        ">=2.8,<2.10",
        _EXPERTS + "torch._grouped_mm, behind a fallback of its own (integrations/moe.py)",
        OVERLAID / "torch-2.8" / "MixtralForCausalLM.arch",
    ),
    Overlay(
        "MixtralForCausalLM",
        ">=2.10,<2.15",
        _EXPERTS
        + "torch's grouped_mm, with the number of rows from a histogram of floats (integrations/moe.py)",
        OVERLAID / "torch-2.10" / "MixtralForCausalLM.arch",
    ),
)


def overlay_of(model: str) -> Overlay | None:
    """What a model is with the installed torch, where that is not its snapshot."""
    installed = version("torch")
    return next((o for o in OVERLAYS if o.model == model and SpecifierSet(o.torch).contains(installed)), None)


def text_of(test: str, model: str) -> str:
    """The committed snapshot of a model."""
    return (ZOO / f"{test}[{model}].arch").read_text("utf-8")
