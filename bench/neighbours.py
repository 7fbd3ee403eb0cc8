"""The counters beside ours, asked as their documentation asks them, and what they are asked about.

Each runs on cpu with the model in evaluation, gradients left on as torch has them. The truth of a subject is
torchvision's metadata, which has three decimals of 10⁹, or worked out by hand: ``tests/costs/by_hand.py`` and below.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))
os.environ.setdefault("HF_HUB_OFFLINE", "1")

import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from pytest_archcheck import trace
from tests.costs.by_hand import MODELS, transformer_layer

Inputs = tuple[torch.Tensor, ...]
Keywords = dict[str, torch.Tensor]


class Functional(nn.Module):
    """One head of attention written with functions: no module holds a product."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.qkv, self.out = (nn.Parameter(torch.randn(rows, width)) for rows in (3 * width, width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Attend."""
        query, key, value = F.linear(x, self.qkv).chunk(3, -1)
        return F.scaled_dot_product_attention(query, key, value) @ self.out.T


class Positional(nn.Module):
    """A model that takes its keyword arguments by position and gives a tensor, for counters that take no others."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model, self.names = model, names

    def forward(self, *args: torch.Tensor) -> torch.Tensor:
        """Call it by name."""
        made = self.model(**dict(zip(self.names, args, strict=True)))
        return next(iter(made.values()))


# -- subjects ------------------------------------------------------------------------------------------


class Subject(NamedTuple):
    """A model, what it is called with, and its MACs as somebody else says them."""

    build: Callable[[], nn.Module]
    inputs: Inputs
    truth: int
    kwargs: Keywords | None = None
    decimals: int = 9
    """Of 10⁹: 9 is exact, 3 as torchvision publishes."""


def bert() -> nn.Module:
    """Two small layers."""
    from transformers import BertConfig, BertModel

    return BertModel(
        BertConfig(
            vocab_size=1000,
            hidden_size=128,
            num_hidden_layers=2,
            num_attention_heads=4,
            intermediate_size=512,
        )
    )


def encoder() -> nn.Module:
    """Two layers, as they are built by default."""
    return nn.TransformerEncoder(nn.TransformerEncoderLayer(64, 4, 128, batch_first=True), 2)


def by_hand(name: str) -> Subject:
    """One image of 224 × 224, worked out from the tables of its paper."""
    return Subject(_built(name), (torch.randn(1, 3, 224, 224),), MODELS[name])


def published(name: str, size: int) -> Subject:
    """One image, as torchvision's metadata say it."""
    operations = torchvision.models.get_model_weights(name).DEFAULT.meta["_ops"]
    return Subject(_built(name), (torch.randn(1, 3, size, size),), round(operations * 10**9), decimals=3)


def _built(name: str) -> Callable[[], nn.Module]:
    options: dict[str, dict[str, Any]] = {
        "deeplabv3_resnet50": {
            "weights_backbone": None,
            "aux_loss": True,
        },  # as the published weights need it
        "inception_v3": {"init_weights": False},
    }
    return lambda: torchvision.models.get_model(name, weights=None, **options.get(name, {}))


def subjects() -> dict[str, Subject]:
    """All of them, by name."""
    ids = torch.arange(32).reshape(1, 32)
    return {
        "resnet18": by_hand("resnet18"),
        "resnet50": by_hand("resnet50"),
        "mobilenet_v3_large": published("mobilenet_v3_large", 224),
        "efficientnet_b0": published("efficientnet_b0", 224),
        "inception_v3": published("inception_v3", 299),
        "deeplabv3_resnet50": published("deeplabv3_resnet50", 520),
        "convnext_tiny": by_hand("convnext_tiny"),
        "vit_b_16": by_hand("vit_b_16"),
        "swin_t": by_hand("swin_t"),
        "LSTM, 2 layers, 2 ways, batch 8": Subject(
            lambda: nn.LSTM(64, 128, num_layers=2, bidirectional=True, batch_first=True),
            (torch.randn(8, 50, 64),),
            8 * 50 * 2 * 4 * 128 * ((64 + 128) + (256 + 128)),
        ),
        "TransformerEncoder, batch 2": Subject(
            encoder, (torch.randn(2, 32, 64),), 2 * 2 * transformer_layer(32, 64, 128)
        ),
        "functions only": Subject(
            lambda: Functional(64), (torch.randn(1, 32, 64),), 4 * 32 * 64**2 + 2 * 32**2 * 64
        ),
        "BERT, keyword arguments": Subject(
            bert,
            (),
            2 * transformer_layer(32, 128, 512) + 128**2,
            {"input_ids": ids, "attention_mask": torch.ones(1, 32, dtype=torch.int64)},
        ),
    }


# -- counters ------------------------------------------------------------------------------------------


def archcheck(model: nn.Module, inputs: Inputs, kwargs: Keywords) -> int:
    """MACs of a trace, which has to be complete."""
    found = trace(model, inputs, kwargs=kwargs or None)
    assert found.status == "complete"
    return found.macs


def by_torchinfo(model: nn.Module, inputs: Inputs, kwargs: Keywords) -> int:
    """``total_mult_adds``; keyword arguments are given as a dict of inputs."""
    import torchinfo

    return int(torchinfo.summary(model, input_data=inputs or kwargs, verbose=0).total_mult_adds)


def by_fvcore(model: nn.Module, inputs: Inputs, kwargs: Keywords) -> int:
    """``total()``, which it calls flops."""
    from fvcore.nn import FlopCountAnalysis

    assert not kwargs
    return int(FlopCountAnalysis(model, inputs).total())


def by_ptflops(model: nn.Module, inputs: Inputs, kwargs: Keywords) -> int:
    """Its default backend; several positional inputs it takes by name only."""
    import ptflops

    total, _ = ptflops.get_model_complexity_info(
        model,
        tuple((*inputs, *kwargs.values())[0].shape[1:]),
        input_constructor=lambda _: kwargs or inputs[0],
        as_strings=False,
        print_per_layer_stat=False,
    )
    return int(total)


def by_thop(model: nn.Module, inputs: Inputs, kwargs: Keywords) -> int:
    """The first of what ``profile`` gives."""
    import thop

    assert not kwargs
    return int(thop.profile(model, inputs, verbose=False)[0])


def by_calflops(model: nn.Module, inputs: Inputs, kwargs: Keywords) -> int:
    """The second of what ``calculate_flops`` gives."""
    import calflops

    found = calflops.calculate_flops(
        model,
        args=list(inputs),
        kwargs=dict(kwargs),
        print_results=False,
        print_detailed=False,
        output_as_string=False,
    )
    return int(found[1])


def by_torch(model: nn.Module, inputs: Inputs, kwargs: Keywords) -> int:
    """Half of what ``FlopCounterMode`` says."""
    with FlopCounterMode(display=False) as counter:
        model(*inputs, **kwargs)
    return int(counter.get_total_flops()) // 2


Counter = Callable[[nn.Module, Inputs, Keywords], int]
COUNTERS: dict[str, Counter] = {
    "archcheck": archcheck,
    "torchinfo": by_torchinfo,
    "fvcore": by_fvcore,
    "ptflops": by_ptflops,
    "thop": by_thop,
    "calflops": by_calflops,
    "torch": by_torch,
}
BY_POSITION = ("fvcore", "thop")
"""Those that hand no keyword arguments to a model."""


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """What counters print, warn and log stays out of the tables."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            with contextlib.redirect_stderr(io.StringIO()):
                yield
        finally:
            logging.disable(logging.NOTSET)


def counted(counter: str, subject: Subject) -> int | None:
    """What a counter says of a model of its own; ``None`` where it raises."""
    torch.manual_seed(0)
    model, inputs, kwargs = subject.build().eval(), subject.inputs, dict(subject.kwargs or {})
    if kwargs and counter in BY_POSITION:
        model, inputs, kwargs = Positional(model, tuple(kwargs)), tuple(kwargs.values()), {}
    with quiet():
        try:
            return COUNTERS[counter](model, inputs, kwargs)
        except Exception:
            return None


def deviation(said: int | None, subject: Subject) -> str:
    """How far a figure is from the truth, in per cent; ``=`` where it is the truth to its last decimal."""
    if said is None:
        return "error"
    if round(said / 10**9, subject.decimals) == round(subject.truth / 10**9, subject.decimals):
        return "="
    share = 100 * (said / subject.truth - 1)
    digits = 0 if abs(share) >= 10 else 1 if abs(share) >= 1 else 2 if abs(share) >= 0.1 else 4
    return f"{share:+.{digits}f} %".replace("-", "−")
