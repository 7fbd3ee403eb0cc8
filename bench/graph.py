"""How long all questions on a trace take, as a share of recording it, both in one run.

``python bench/graph.py`` prints medians for EfficientNet-B7 and for a decoder of 126 layers in the shape of Llama 3.1
405B (hidden size 16,384, 128 heads on 8 key-value heads), which is built on meta.
"""

import statistics

import torch
import torch.nn.functional as F
import torchvision
from measure import ratio, seconds, table, versions
from torch import nn

from pytest_archcheck import Trace, spec, trace

ROUNDS = 5
CONVENTIONS = (
    "paper",
    "longest-path",
    "weighted",
    "convolutions",
    "parameter-modules",
    "leaf-modules",
    "blocks",
)


class Attention(nn.Module):
    """Grouped attention with rotary positions."""

    def __init__(self, width: int, heads: int, groups: int) -> None:
        super().__init__()
        self.size = width // heads
        self.q_proj = nn.Linear(width, width, bias=False)
        self.k_proj = nn.Linear(width, groups * self.size, bias=False)
        self.v_proj = nn.Linear(width, groups * self.size, bias=False)
        self.o_proj = nn.Linear(width, width, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Attend, causally."""
        q, k, v = (
            project(x).unflatten(-1, (-1, self.size)).transpose(1, 2)
            for project in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = (t * cos + rotated(t) * sin for t in (q, k))
        out = F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        return self.o_proj(out.transpose(1, 2).flatten(2))


def rotated(x: torch.Tensor) -> torch.Tensor:
    """Exchange the halves, the second negated."""
    first, second = x.chunk(2, dim=-1)
    return torch.cat((-second, first), dim=-1)


class Layer(nn.Module):
    """Pre-norm attention and gated feed-forward."""

    def __init__(self, width: int, heads: int, groups: int, hidden: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.RMSNorm(width), nn.RMSNorm(width)
        self.attention = Attention(width, heads, groups)
        self.gate = nn.Linear(width, hidden, bias=False)
        self.up = nn.Linear(width, hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)

    def forward(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
        """Attend and feed forward."""
        x = x + self.attention(self.norm1(x), cos, sin)
        h = self.norm2(x)
        return x + self.down(F.silu(self.gate(h)) * self.up(h))


class Decoder(nn.Module):
    """126 layers of the shape of Llama 3.1 405B."""

    def __init__(self) -> None:
        super().__init__()
        self.embed = nn.Embedding(128_256, 16_384)
        self.layers = nn.ModuleList(Layer(16_384, 128, 8, 53_248) for _ in range(126))
        self.norm = nn.RMSNorm(16_384)
        self.head = nn.Linear(16_384, 128_256, bias=False)
        self.register_buffer("cos", torch.empty(1, 1, 2048, 128), persistent=False)
        self.register_buffer("sin", torch.empty(1, 1, 2048, 128), persistent=False)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        """From tokens to logits."""
        x = self.embed(tokens)
        for layer in self.layers:
            x = layer(x, self.cos, self.sin)
        return self.head(self.norm(x))


def ask(name: str) -> None:
    """Put every question to a trace that has answered none yet."""
    fresh = traces[name]
    for convention in CONVENTIONS:
        fresh.explain_depth(convention)
    assert fresh.stages
    assert fresh.blocks
    assert fresh.shortcuts
    assert fresh.branches
    assert fresh.auxiliary_heads == ()
    assert fresh.dead_ends == ()
    fresh.receptive_field()


traces: dict[str, Trace] = {}


def measure(name: str, model: nn.Module, inputs: object) -> list[str]:
    """Give one model's row."""

    def record() -> None:
        traces[name] = trace(model, inputs, device="meta")

    record(), ask(name)
    shares, recordings, questions, matches = [], [], [], []
    for _ in range(ROUNDS):
        recordings.append(seconds(record))
        questions.append(seconds(lambda: ask(name)))
        other = traces[name]
        record()
        matches.append(seconds(lambda other=other: traces[name].same_as(other)))
        shares.append(questions[-1] / recordings[-1])
    return [
        name,
        f"{len(traces[name]):,}",
        f"{1000 * statistics.median(recordings):.0f} ms",
        f"{statistics.median(shares):.2f}",
        f"{ratio(recordings, matches):.2f}",
    ]


if __name__ == "__main__":
    with torch.device("meta"):
        efficientnet = torchvision.models.efficientnet_b7(weights=None).eval()
        decoder = Decoder().eval()
    rows = [
        measure("efficientnet_b7", efficientnet, (1, 3, 224, 224)),
        measure("decoder of 126 layers", decoder, spec(1, 2048, dtype="int64", high=128_256)),
    ]
    print(versions("torch", "torchvision"))
    print()
    print(table(["", "calls", "recording", "questions / recording", "same_as / recording"], rows))
