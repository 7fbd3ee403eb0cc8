"""How far each counter is from the truth, in one run: 20 models and 15 small cases.

``python bench/accuracy.py`` prints the table and writes ``bench/accuracy.md``. The truth is worked out by hand: for the
models in closed form from their papers' tables (``tests/costs/by_hand.py``), for the small cases beside each. A counter
that raises or says nothing has a dash.
"""

from __future__ import annotations

import contextlib
import io
import logging
import sys
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import ptflops
import torch
import torch.nn.functional as F
import torchinfo
import torchvision
from fvcore.nn import FlopCountAnalysis
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pytest_archcheck import trace
from tests.costs.by_hand import MODELS, transformer_layer

Inputs = tuple[torch.Tensor, ...]


class Calls(nn.Module):
    """A forward that is one function of the input and a parameter."""

    def __init__(self, function: Callable[..., torch.Tensor], *shape: int) -> None:
        super().__init__()
        self.function = function
        self.w = nn.Parameter(torch.randn(shape))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Call it."""
        return self.function(x, self.w)


class First(nn.Module):
    """The first of what a layer returns, and the layer called so often."""

    def __init__(self, layer: nn.Module, times: int = 1, operands: int = 1) -> None:
        super().__init__()
        self.layer, self.times, self.operands = layer, times, operands

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Call it."""
        for _ in range(self.times):
            made = self.layer(*(x,) * self.operands)
            x = made[0] if isinstance(made, tuple) else made
        return x


def attend(x: torch.Tensor, w: torch.Tensor) -> torch.Tensor:
    """8 heads of 64 over 128 tokens, for 4 samples."""
    return F.scaled_dot_product_attention(x, x, x) + 0 * w


Case = tuple[Callable[[], nn.Module], tuple[int, ...], int]
CASES: dict[str, Case] = {
    "x @ parameter": (lambda: Calls(torch.matmul, 64, 64), (1, 32, 64), 32 * 64 * 64),
    "einsum": (
        lambda: Calls(lambda x, w: torch.einsum("bij,jk->bik", x, w), 64, 16),
        (2, 32, 64),
        2 * 32 * 64 * 16,
    ),
    "baddbmm": (lambda: Calls(lambda x, w: torch.baddbmm(w, x, x.mT), 8, 8), (4, 8, 16), 4 * 8 * 16 * 8),
    "F.linear": (lambda: Calls(F.linear, 16, 64), (2, 32, 64), 2 * 32 * 64 * 16),
    "F.conv2d, groups": (
        lambda: Calls(lambda x, w: F.conv2d(x, w, padding=1, groups=4), 16, 2, 3, 3),
        (2, 8, 9, 9),
        2 * 81 * 16 * 2 * 9,
    ),
    "scaled_dot_product_attention": (lambda: Calls(attend, 1), (4, 8, 128, 64), 2 * 4 * 8 * 128 * 128 * 64),
    "Linear called three times": (lambda: First(nn.Linear(64, 64), 3), (1, 32, 64), 3 * 32 * 64 * 64),
    "MultiheadAttention": (
        lambda: First(nn.MultiheadAttention(64, 4, batch_first=True), operands=3),
        (1, 32, 64),
        4 * 32 * 64**2 + 2 * 32**2 * 64,
    ),
    "TransformerEncoderLayer": (
        lambda: nn.TransformerEncoderLayer(64, 4, 128, batch_first=True),
        (2, 32, 64),
        2 * transformer_layer(32, 64, 128),
    ),
    "LSTM, two ways, two layers": (
        lambda: First(nn.LSTM(16, 8, num_layers=2, bidirectional=True)),
        (5, 3, 16),
        15 * 2 * 4 * 8 * ((16 + 8) + (16 + 8)),
    ),
    "GRU": (lambda: First(nn.GRU(16, 8)), (5, 3, 16), 15 * 3 * 8 * (16 + 8)),
    "LSTMCell": (lambda: First(nn.LSTMCell(16, 8)), (3, 16), 3 * 4 * 8 * (16 + 8)),
    "ConvTranspose2d, stride 2": (
        lambda: nn.ConvTranspose2d(8, 4, 3, stride=2),
        (1, 8, 9, 9),
        81 * 8 * 4 * 9,
    ),
    "Conv1d, depth-wise, dilated": (
        lambda: nn.Conv1d(8, 8, 5, groups=8, dilation=2, padding="same"),
        (2, 8, 20),
        2 * 20 * 8 * 5,
    ),
    "Bilinear": (lambda: First(nn.Bilinear(8, 8, 5), operands=2), (3, 8), 3 * 5 * (8 * 8 + 8)),
}


def ours(model: nn.Module, x: torch.Tensor) -> int:
    """MACs of a trace, which has to be complete."""
    found = trace(model, x)
    assert found.status == "complete"
    return found.macs


def by_torchinfo(model: nn.Module, x: torch.Tensor) -> int:
    """``total_mult_adds``."""
    return int(torchinfo.summary(model, input_data=(x,), verbose=0).total_mult_adds)


def by_fvcore(model: nn.Module, x: torch.Tensor) -> int:
    """Its "flops" are multiply-accumulates, with flat rates for norms and pooling."""
    with torch.no_grad():
        return int(FlopCountAnalysis(model, (x,)).total())


def by_ptflops(backend: str) -> Callable[[nn.Module, torch.Tensor], int]:
    """One of its two backends."""

    def count(model: nn.Module, x: torch.Tensor) -> int:
        total, _ = ptflops.get_model_complexity_info(
            model,
            tuple(x.shape[1:]),
            input_constructor=lambda _: x,
            as_strings=False,
            print_per_layer_stat=False,
            backend=backend,
        )
        return int(total)

    return count


def by_torch(device: str) -> Callable[[nn.Module, torch.Tensor], int]:
    """Half of what its FLOP counter says, without gradients on cpu, as in an evaluation; with them on meta."""

    def count(model: nn.Module, x: torch.Tensor) -> int:
        model, x = model.to(device), x.to(device)
        with torch.set_grad_enabled(device == "meta"), FlopCounterMode(display=False) as counter:
            model(x)
        return int(counter.get_total_flops()) // 2

    return count


COUNTERS: dict[str, Callable[[nn.Module, torch.Tensor], int]] = {
    "archcheck": ours,
    "torchinfo": by_torchinfo,
    "fvcore": by_fvcore,
    "ptflops": by_ptflops("pytorch"),
    "ptflops aten": by_ptflops("aten"),
    "torch, cpu": by_torch("cpu"),
    "torch, meta": by_torch("meta"),
}


def error_of(name: str, build: Callable[[], nn.Module], shape: tuple[int, ...], truth: int) -> int | None:
    """A counter's figure less the truth, on a model of its own; ``None`` where it gives none."""
    torch.manual_seed(0)
    model, x = build().eval(), torch.randn(shape)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        try:
            return COUNTERS[name](model, x) - truth
        except Exception:
            return None


def main() -> None:
    """Print and write the table."""
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    cases: dict[str, Case] = dict(CASES)
    for name, macs in MODELS.items():
        make = getattr(torchvision.models, name)
        cases[name] = (lambda make=make: make(weights=None), (1, 3, 224, 224), macs)
    versions = ", ".join(
        f"{p} {version(p)}" for p in ("torch", "torchvision", "torchinfo", "fvcore", "ptflops")
    )
    lines = [
        "# Counters against the truth",
        "",
        f"Written by `python bench/accuracy.py`; do not edit. {versions}.",
        "",
        "Each figure is a counter's MACs less those worked out by hand; 0 is exact, – is an error. torchinfo,",
        "fvcore and ptflops add norms, activations, pooling or bias: a small surplus is that, a minus is work missed.",
        "",
        f"| | truth | {' | '.join(COUNTERS)} |",
        f"|---|--:|{'--:|' * len(COUNTERS)}",
    ]
    exact = dict.fromkeys(COUNTERS, 0)
    for label, (build, shape, truth) in cases.items():
        errors = {name: error_of(name, build, shape, truth) for name in COUNTERS}
        for name, error in errors.items():
            exact[name] += error == 0
        shown = ("–" if error is None else f"{error:+,}" if error else "0" for error in errors.values())
        lines.append(f"| {label} | {truth:,} | {' | '.join(shown)} |")
        print(lines[-1], flush=True)
    lines.append(f"| exact, of {len(cases)} | | {' | '.join(map(str, exact.values()))} |")
    print(lines[-1])
    (Path(__file__).parent / "accuracy.md").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
