"""Twelve changes of two small models, and what each kind of snapshot test holds of a model.

``bench/catches_suite.py`` is a test module on it, which ``python docs/comparison.py`` runs: first to record, then on
the same models, where every test has to pass, then on the changed ones, where a test that passes has missed the change.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from types import MethodType

sys.path.insert(0, str(Path(__file__).parent))

import thop
import torch
import torch.nn.functional as F
import torchinfo
import torchview
from fvcore.nn import FlopCountAnalysis, flop_count_table
from torch import nn

# -- models --------------------------------------------------------------------------------------------


class Block(nn.Module):
    """Two convolutions and a shortcut, which is a projection where the second has a stride."""

    def __init__(self, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        if stride > 1:
            self.down = nn.Conv2d(width, width, 1, stride=stride, bias=False)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Add the shortcut."""
        y = self.relu(self.bn1(self.conv1(x)))
        return self.relu(self.bn2(self.conv2(y)) + (self.down(x) if hasattr(self, "down") else x))


class Net(nn.Module):
    """A classifier that normalises its images."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.full((1, 3, 1, 1), 0.45), persistent=False)
        self.stem = nn.Conv2d(3, 16, 3, padding=1)
        self.block1, self.block2 = Block(16, 2), Block(16, 1)
        self.drop = nn.Dropout(0.1)
        self.fc = nn.Linear(16, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Classify."""
        x = self.block2(self.block1(self.stem(x - self.mean)))
        return self.fc(self.drop(x.mean((2, 3))))


class Decoder(nn.Module):
    """One causal layer, its head tied to the embedding."""

    def __init__(self) -> None:
        super().__init__()
        self.causal = True
        self.embed = nn.Embedding(50, 32)
        self.norm = nn.LayerNorm(32)
        self.qkv, self.out = nn.Linear(32, 96), nn.Linear(32, 32)
        self.head = nn.Linear(32, 50, bias=False)
        self.head.weight = self.embed.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        """Score the next token."""
        x = self.embed(ids)
        query, key, value = self.qkv(self.norm(x)).chunk(3, -1)
        attended = F.scaled_dot_product_attention(query, key, value, is_causal=self.causal)
        return self.head(x + self.out(attended))


# -- changes -------------------------------------------------------------------------------------------


def stride_moved(net: Net) -> None:
    """ResNet v1 for v1.5: same parameters, keys and output shape."""
    net.block1.conv1.stride, net.block1.conv2.stride = (2, 2), (1, 1)


def residual_lost(net: Net) -> None:
    """The identity of one block; its class keeps its name."""

    def plain(self: Block, x: torch.Tensor) -> torch.Tensor:
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))

    net.block2.forward = MethodType(plain, net.block2)


def relu_became_gelu(net: Net) -> None:
    """In one block."""
    net.block1.relu = nn.GELU()


def eps_changed(net: Net) -> None:
    """Of one norm."""
    net.block1.bn1.eps = 1e-3


def dropout_changed(net: Net) -> None:
    """Seen only in training."""
    net.drop.p = 0.5


def layers_frozen(net: Net) -> None:
    """All but the head."""
    for name, parameter in net.named_parameters():
        parameter.requires_grad_(name.startswith("fc."))


def became_bfloat16(net: Net) -> None:
    """Every tensor."""
    net.to(torch.bfloat16)


def layer_renamed(net: Net) -> None:
    """Old checkpoints no longer load."""

    def forward(self: Net, x: torch.Tensor) -> torch.Tensor:
        x = self.block2(self.block1(self.stem(x - self.mean)))
        return self.head(self.drop(x.mean((2, 3))))

    net.head = net.fc
    del net.fc
    net.forward = MethodType(forward, net)


def pixel_mean_changed(net: Net) -> None:
    """Other numbers in a buffer that is not saved."""
    net.mean.fill_(0.5)


def tying_lost(net: Decoder) -> None:
    """The head is a copy."""
    net.head.weight = nn.Parameter(net.embed.weight.detach().clone())


def no_longer_causal(net: Decoder) -> None:
    """Attention sees what comes."""
    net.causal = False


def affine_part_lost(net: Decoder) -> None:
    """Of a norm that is as it was initialised: it computes the same, and checkpoints do not load."""
    net.norm = nn.LayerNorm(32, elementwise_affine=False)


def functions_for_modules(net: Net) -> None:
    """``F.relu`` for ``nn.ReLU``."""

    def forward(self: Block, x: torch.Tensor) -> torch.Tensor:
        y = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(y + x)

    del net.block2.relu
    net.block2.forward = MethodType(forward, net.block2)


def in_place(net: Net) -> None:
    """An activation that writes on its input."""
    net.block1.relu.inplace = True


def trained_on(net: Net) -> None:
    """Other weights."""
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.mul_(1.01)


Change = Callable[[nn.Module], None]
CHANGES: dict[str, tuple[type[nn.Module], Change]] = {
    "stride moved to another convolution": (Net, stride_moved),
    "residual lost": (Net, residual_lost),
    "ReLU → GELU": (Net, relu_became_gelu),
    "eps 1e-5 → 1e-3": (Net, eps_changed),
    "dropout 0.1 → 0.5": (Net, dropout_changed),
    "weight tying lost": (Decoder, tying_lost),
    "backbone frozen": (Net, layers_frozen),
    "float32 → bfloat16": (Net, became_bfloat16),
    "layer renamed": (Net, layer_renamed),
    "attention no longer causal": (Decoder, no_longer_causal),
    "norm without its affine part": (Decoder, affine_part_lost),
    "another number in a buffer that is not saved": (Net, pixel_mean_changed),
}
HARMLESS: dict[str, tuple[type[nn.Module], Change]] = {
    "F.relu for nn.ReLU": (Net, functions_for_modules),
    "ReLU in place": (Net, in_place),
    "trained on": (Net, trained_on),
}


def made(change: str, *, after: bool) -> tuple[nn.Module, torch.Tensor]:
    """A model in evaluation before or after a change, and an input for it; the same numbers every time."""
    cls, alter = (CHANGES | HARMLESS)[change]
    torch.manual_seed(0)
    net = cls().eval()
    x = torch.arange(24).reshape(2, 12) if cls is Decoder else torch.rand(2, 3, 16, 16)
    if after:
        alter(net)
    return net, x.to(net.stem.weight.dtype) if isinstance(net, Net) else x


# -- what tests keep of a model -------------------------------------------------------------------------


def torchinfo_table(net: nn.Module, x: torch.Tensor) -> str:
    """All columns, to any depth."""
    columns = ("input_size", "output_size", "num_params", "kernel_size", "mult_adds", "trainable")
    return str(torchinfo.summary(net, input_data=(x,), depth=99, verbose=0, col_names=columns))


def fvcore_table(net: nn.Module, x: torch.Tensor) -> str:
    """Parameters and MACs of every module."""
    return str(flop_count_table(FlopCountAnalysis(net, (x,)), max_depth=99))


def thop_totals(net: nn.Module, x: torch.Tensor) -> str:
    """MACs and parameters."""
    return str(thop.profile(net, (x,), verbose=False))


def torchview_graph(net: nn.Module, x: torch.Tensor) -> str:
    """The DOT text of the picture, modules opened."""
    graph = torchview.draw_graph(net, input_data=(x,), expand_nested=True, depth=99, device="cpu")
    return str(graph.visual_graph.source)


def export_program(net: nn.Module, x: torch.Tensor) -> str:
    """Torch's own text of what it exports."""
    return str(torch.export.export(net, (x,)))


def output_hash(net: nn.Module, x: torch.Tensor) -> str:
    """Of the bytes of the output."""
    with torch.no_grad():
        return hashlib.sha256(net(x).float().numpy().tobytes()).hexdigest()


def torchlens_hash(net: nn.Module, x: torch.Tensor) -> str:
    """Of the structure of the graph."""
    import torchlens

    return str(torchlens.trace(net, x).graph_shape_hash)


TEXTS: dict[str, Callable[[nn.Module, torch.Tensor], str]] = {
    "str(model)": lambda net, x: str(net),
    "torchinfo": torchinfo_table,
    "fvcore": fvcore_table,
    "thop": thop_totals,
    "torchview": torchview_graph,
    "torch.export": export_program,
    "hash of outputs": output_hash,
    "TorchLens": torchlens_hash,
}


def text_of(tool: str, net: nn.Module, x: torch.Tensor) -> str:
    """What a tool says of a model; what it prints and warns aside."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        return TEXTS[tool](net, x)
