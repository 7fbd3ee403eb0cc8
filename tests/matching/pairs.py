"""Pairs of one architecture written twice, with other names and in another style."""

import types

import torch
import torch.nn.functional as F
from torch import nn

from tests.models import EXAMPLE


def renamed_resnet():
    """The example's ResNet with every attribute called otherwise."""
    source = (EXAMPLE / "resnet.py").read_text("utf-8")
    for old, new in {
        "self.conv1": "self.reduce",
        "self.conv2": "self.spatial",
        "self.conv3": "self.restore",
        "self.bn1": "self.norm_a",
        "self.bn2": "self.norm_b",
        "self.bn3": "self.norm_c",
        "self.downsample": "self.side",
        'f"layer{stage}"': 'f"stage_{stage}"',
        "self.layer": "self.stage_",
        "self.fc": "self.classify",
    }.items():
        assert old in source
        source = source.replace(old, new)
    module = types.ModuleType("renamed_resnet")
    exec(source, module.__dict__)
    return module


class ClassicUNet(nn.Module):
    """Modules for everything, skip first in the concatenation."""

    class Double(nn.Sequential):
        def __init__(self, inputs, outputs):
            super().__init__(
                nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
                nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            )

    def __init__(self):
        super().__init__()
        self.inc, self.down1, self.down2 = self.Double(3, 8), self.Double(8, 16), self.Double(16, 32)
        self.pool = nn.MaxPool2d(2)
        self.up1, self.up2 = nn.ConvTranspose2d(32, 16, 2, 2), nn.ConvTranspose2d(16, 8, 2, 2)
        self.conv1, self.conv2 = self.Double(32, 16), self.Double(16, 8)
        self.outc = nn.Conv2d(8, 5, 1)

    def forward(self, x):
        x1 = self.inc(x)
        x2 = self.down1(self.pool(x1))
        x3 = self.down2(self.pool(x2))
        x = self.conv1(torch.cat([x2, self.up1(x3)], dim=1))
        x = self.conv2(torch.cat([x1, self.up2(x)], dim=1))
        return self.outc(x)


class LoopUNet(nn.Module):
    """The same from lists and functions."""

    class Block(nn.Module):
        def __init__(self, inputs, outputs):
            super().__init__()
            self.weights = nn.ModuleList(
                nn.Conv2d(i, outputs, 3, padding=1, bias=False) for i in (inputs, outputs)
            )
            self.norms = nn.ModuleList(nn.BatchNorm2d(outputs) for _ in range(2))

        def forward(self, x):
            for weight, norm in zip(self.weights, self.norms, strict=True):
                x = F.relu(norm(weight(x)))
            return x

    def __init__(self, widths=(8, 16, 32)):
        super().__init__()
        self.head = nn.Conv2d(widths[0], 5, 1)
        self.decoders = nn.ModuleList(self.Block(2 * w, w) for w in widths[-2::-1])
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(2 * w, w, 2, 2) for w in widths[-2::-1])
        self.encoders = nn.ModuleList(
            self.Block(i, o) for i, o in zip((3, *widths[:-1]), widths, strict=True)
        )

    def forward(self, image):
        skips = []
        for number, encode in enumerate(self.encoders):
            image = encode(F.max_pool2d(image, kernel_size=2) if number else image)
            skips.append(image)
        skips.pop()
        for enlarge, decode in zip(self.enlarge, self.decoders, strict=True):
            image = decode(torch.cat((skips.pop(), enlarge(image)), 1))
        return self.head(image)


class TextClassifier(nn.Module):
    """Embedding, bidirectional LSTM, last step, linear layers."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(100, 12, padding_idx=0)
        self.lstm = nn.LSTM(12, 16, num_layers=2, batch_first=True, bidirectional=True)
        self.fc1, self.fc2 = nn.Linear(32, 8), nn.Linear(8, 3)

    def forward(self, tokens):
        out, _ = self.lstm(self.embedding(tokens))
        return self.fc2(F.relu(self.fc1(out[:, -1, :])))


class SequenceTagger(nn.Module):
    """The same with other names and modules for the functions."""

    def __init__(self):
        super().__init__()
        self.classify = nn.Sequential(nn.Linear(32, 8), nn.ReLU(), nn.Dropout(0.0), nn.Linear(8, 3))
        self.encoder = nn.LSTM(12, 16, 2, batch_first=True, bidirectional=True)
        self.words = nn.Embedding(100, 12, padding_idx=0)

    def forward(self, ids):
        hidden = self.encoder(self.words(ids))[0]
        return self.classify(hidden.select(1, hidden.shape[1] - 1))


class SplitGPTBlock(nn.Module):
    """nanoGPT's way: one projection that is split, views and transposes."""

    def __init__(self, width=24, heads=4, eps=1e-5, post_norm=False):
        super().__init__()
        self.heads, self.width, self.post_norm = heads, width, post_norm
        self.ln_1, self.ln_2 = nn.LayerNorm(width, eps=eps), nn.LayerNorm(width)
        self.c_attn, self.c_proj = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.c_fc, self.mlp_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def attend(self, x):
        batch, time, width = x.size()
        q, k, v = self.c_attn(x).split(self.width, dim=2)
        k = k.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
        q = q.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
        v = v.view(batch, time, self.heads, width // self.heads).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return self.c_proj(y.transpose(1, 2).contiguous().view(batch, time, width))

    def forward(self, x):
        if self.post_norm:
            x = self.ln_1(x + self.attend(x))
            return self.ln_2(x + self.mlp_proj(F.gelu(self.c_fc(x))))
        x = x + self.attend(self.ln_1(x))
        return x + self.mlp_proj(F.gelu(self.c_fc(self.ln_2(x))))


class PermutedGPTBlock(nn.Module):
    """Another way: one reshape and one permutation, sums the other way round."""

    class Mixer(nn.Module):
        def __init__(self, width, heads):
            super().__init__()
            self.heads = heads
            self.out = nn.Linear(width, width)
            self.qkv = nn.Linear(width, 3 * width)

        def forward(self, x):
            qkv = self.qkv(x).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
            y = F.scaled_dot_product_attention(*qkv.unbind(), is_causal=True)
            return self.out(y.permute(0, 2, 1, 3).flatten(2))

    def __init__(self, width=24, heads=4):
        super().__init__()
        self.feed = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width))
        self.mixer = self.Mixer(width, heads)
        self.norms = nn.ModuleList([nn.LayerNorm(width), nn.LayerNorm(width)])

    def forward(self, x):
        x = self.mixer(self.norms[0](x)) + x
        return self.feed(self.norms[1](x)) + x


class LanguageModel(nn.Module):
    """An embedding and a head, tied or not."""

    def __init__(self, tied):
        super().__init__()
        self.embed = nn.Embedding(50, 8)
        self.head = nn.Linear(8, 50, bias=False)
        if tied:
            self.head.weight = self.embed.weight

    def forward(self, tokens):
        return self.head(self.embed(tokens))


class TiedByCall(nn.Module):
    """The tied one, with a single parameter that is used twice."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(50, 8)

    def forward(self, tokens):
        return F.linear(self.table(tokens), self.table.weight)
