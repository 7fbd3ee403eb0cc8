"""Refactorings: nothing computes otherwise and no key of the state dict changes, and so none may be told as drift.

``outcome`` is ``"none"`` where the record is the same, or ``"cosmetic"`` where a reader may want to know.
"""

from __future__ import annotations

import copy
import functools
import types
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint
from torchvision.models.resnet import BasicBlock

from tests.drift.mutations import forward
from tests.drift.subjects import SUBJECTS


class Refactoring(NamedTuple):
    """A refactoring of a subject: in place, or by handing another model, or what builds one, back."""

    name: str
    subject: str
    change: Callable[[Any], Any]
    outcome: str


REFACTORINGS: list[Refactoring] = []


def refactoring(subject: str, outcome: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Add a refactoring to the catalogue under its function's name."""

    def add(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        REFACTORINGS.append(Refactoring(change.__name__, subject, change, outcome))
        return change

    return add


def blocks(model: nn.Module, function: Callable[..., Any]) -> None:
    """Give all basic blocks another forward."""
    for block in model.modules():
        if isinstance(block, BasicBlock):
            forward(block, function)


def stem(self: Any, x: torch.Tensor) -> torch.Tensor:
    """What comes before a ResNet's pooling."""
    x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
    return self.layer4(self.layer3(self.layer2(self.layer1(x))))


# -- the same record ---------------------------------------------------------------------------------


@refactoring("resnet18", "none")
def sum_out_of_place(model):
    def after_the_shortcut(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        identity = x if self.downsample is None else self.downsample(x)
        return self.relu(torch.add(out, identity))

    blocks(model, after_the_shortcut)


@refactoring("resnet18", "none")
def compiled(model):
    return torch.compile(model)


@refactoring("resnet18", "none")
def data_parallel(model):
    return nn.DataParallel(model)


@refactoring("resnet18", "none")
def another_factory(model):
    return functools.partial(torchvision.models.ResNet, BasicBlock, [2, 2, 2, 2])


@refactoring("resnet18", "none")
def a_copy(model):
    return copy.deepcopy(model)


@refactoring("resnet18", "none")
def other_values(model):
    return torchvision.models.resnet18(weights=None)


@refactoring("resnet18", "none")
def in_evaluation_after_training(model):
    model.train()
    model.eval()


@refactoring("resnet18", "none")
def frozen_and_thawed(model):
    model.requires_grad_(False)
    model.requires_grad_(True)


@refactoring("resnet18", "none")
def helper_method(model):
    def first(self, x):
        return self.relu(self.bn1(self.conv1(x)))

    def split(self, x):
        out = self.bn2(self.conv2(first(self, x)))
        out += x if self.downsample is None else self.downsample(x)
        return self.relu(out)

    blocks(model, split)


@refactoring("resnet18", "none")
def observed_by_a_hook(model):
    model.layer1.register_forward_hook(lambda module, args, output: None)


@refactoring("resnet18", "none")
def sequence_with_the_same_keys(model):
    for name in ("layer1", "layer2"):
        setattr(model, name, nn.Sequential(OrderedDict(getattr(model, name).named_children())))


@refactoring("vit_b_16", "none")
def checkpointed(model):
    if torch.__version__.startswith("2.4."):
        pytest.skip("torch 2.4 cannot checkpoint on meta")
    original = model.encoder.forward
    forward(model.encoder, lambda self, x: checkpoint(original, x, use_reentrant=False))


@refactoring("resnet18", "none")
def channels_last(model):
    return model.to(memory_format=torch.channels_last)


# -- another spelling --------------------------------------------------------------------------------


@refactoring("resnet18", "cosmetic")
def function_for_module(model):
    """``F.relu`` for ``nn.ReLU``, which is gone."""

    def functional(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))

    blocks(model, functional)
    for block in model.modules():
        if isinstance(block, BasicBlock):
            del block.relu


@refactoring("resnet18", "cosmetic")
def function_beside_module(model):
    """``F.relu`` for ``nn.ReLU``, which stays declared."""

    def functional(self, x):
        out = F.relu(self.bn1(self.conv1(x)), inplace=True)
        out = self.bn2(self.conv2(out))
        return F.relu(out + (x if self.downsample is None else self.downsample(x)))

    blocks(model, functional)


@refactoring("resnet18", "cosmetic")
def activation_of_its_own(model):
    """One module for each call instead of one for both."""

    def own(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu2(out + x)

    model.layer1[0].relu2 = nn.ReLU()
    forward(model.layer1[0], own)


@refactoring("resnet18", "cosmetic")
def not_in_place(model):
    for module in model.modules():
        if isinstance(module, nn.ReLU):
            module.inplace = False


@refactoring("resnet18", "cosmetic")
def attribute_order(model):
    for block in model.layer2:
        conv1 = block._modules.pop("conv1")
        block._modules["conv1"] = conv1


@refactoring("resnet18", "cosmetic")
def class_renamed(model):
    renamed = type("Residual", (BasicBlock,), {})
    for block in model.modules():
        if isinstance(block, BasicBlock):
            block.__class__ = renamed


@refactoring("resnet18", "cosmetic")
def module_without_keys_renamed(model):
    model.act = model.relu
    del model.relu

    def renamed(self, x):
        x = self.maxpool(self.act(self.bn1(self.conv1(x))))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        return self.fc(torch.flatten(self.avgpool(x), 1))

    forward(model, renamed)


@refactoring("resnet18", "cosmetic")
def nested_sequence(model):
    """What has no keys moves into a ``Sequential``."""
    model.head = nn.Sequential(model.avgpool, nn.Flatten())
    del model.avgpool
    forward(model, lambda self, x: self.fc(self.head(stem(self, x))))


@refactoring("resnet18", "cosmetic")
def wrapped_activation(model):
    model.relu = nn.Sequential(model.relu)


@refactoring("resnet18", "cosmetic")
def operands_exchanged(model):
    def exchanged(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu((x if self.downsample is None else self.downsample(x)) + out)

    blocks(model, exchanged)


@refactoring("resnet18", "cosmetic")
def identity_inserted(model):
    model.avgpool = nn.Sequential(nn.Identity(), model.avgpool)


@refactoring("resnet18", "cosmetic")
def no_dropout_inserted(model):
    model.dropout = nn.Dropout(0.0)
    forward(model, lambda self, x: self.fc(self.dropout(torch.flatten(self.avgpool(stem(self, x)), 1))))


@refactoring("resnet18", "cosmetic")
def view_for_flatten(model):
    def viewed(self, x):
        x = self.avgpool(stem(self, x))
        return self.fc(x.view(x.size(0), -1))

    forward(model, viewed)


@refactoring("resnet18", "cosmetic")
def module_for_flatten(model):
    model.flatten = nn.Flatten()
    forward(model, lambda self, x: self.fc(self.flatten(self.avgpool(stem(self, x)))))


@refactoring("resnet18", "cosmetic")
def mean_for_pooling(model):
    forward(model, lambda self, x: self.fc(stem(self, x).mean((2, 3))))


@refactoring("mobilenet_v2", "cosmetic")
def mean_for_a_pooling_function(model):
    def mean(self, x):
        return self.classifier(self.features(x).mean((3, 2)))

    model._forward_impl = types.MethodType(mean, model)


@refactoring("resnet18", "cosmetic")
def function_for_a_linear_layer(model):
    def functional(self, x):
        return F.linear(torch.flatten(self.avgpool(stem(self, x)), 1), self.fc.weight, self.fc.bias)

    forward(model, functional)


@refactoring("densenet121", "cosmetic")
def negative_axis(model):
    def negative(self, features):
        layers = [features]
        for layer in self.values():
            layers.append(layer(layers))
        return torch.cat(layers, -3)

    forward(model.features.denseblock2, negative)


@refactoring("vit_b_16", "cosmetic")
def transpose_for_permute(model):
    def transposed(self, x):
        return self.conv_proj(x).flatten(2).transpose(1, 2)

    model._process_input = types.MethodType(transposed, model)


@refactoring("vit_b_16", "cosmetic")
def select_for_an_index(model):
    def selected(self, x):
        x = self._process_input(x)
        x = self.encoder(torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1))
        return self.heads(x.select(1, 0))

    forward(model, selected)


@refactoring("vit_b_16", "cosmetic")
def list_for_a_sequence(model):
    """Blocks called in a loop."""
    layers = model.encoder.layers
    model.encoder.layers = nn.ModuleDict(dict(layers.named_children()))

    def loop(self, x):
        x = self.dropout(x + self.pos_embedding)
        for layer in self.layers.values():
            x = layer(x)
        return self.ln(x)

    forward(model.encoder, loop)


@refactoring("timm_vit", "cosmetic")
def chunks_for_an_unbound_projection(model):
    def chunked(self, x, **_):
        n, length, width = x.shape
        parts = [
            part.view(n, length, self.num_heads, self.head_dim).transpose(1, 2)
            for part in self.qkv(x).chunk(3, -1)
        ]
        q, k, v = self.q_norm(parts[0]), self.k_norm(parts[1]), parts[2]
        x = F.scaled_dot_product_attention(q, k, v)
        return self.proj_drop(self.proj(self.norm(x.transpose(1, 2).reshape(n, length, width))))

    forward(model.blocks[3].attn, chunked)


@refactoring("deeplabv3_resnet50", "cosmetic")
def factor_for_a_size(model):
    """Interpolation by what to multiply the size with."""

    def by_factor(self, x):
        features = self.backbone(x)
        heads = (("out", "out", self.classifier), ("aux", "aux", self.aux_classifier))
        return {
            name: F.interpolate(head(features[key]), scale_factor=8, mode="bilinear", align_corners=False)
            for name, key, head in heads
        }

    forward(model, by_factor)


@refactoring("swin_t", "cosmetic")
def linear_function_for_a_module(model):
    """The patch merging's reduction by function."""
    merging = model.features[2]

    def functional(self, x):
        x = torch.cat([x[..., i::2, j::2, :] for j in (0, 1) for i in (0, 1)], -1)
        return F.linear(self.norm(x), self.reduction.weight)

    forward(merging, functional)


@refactoring("mobilenet_v2", "cosmetic")
def clipping_for_relu6(model):
    model.features[0][2] = nn.Hardtanh(0.0, 6.0)


@refactoring("lstm", "none")
def layers_given_by_position(model):
    return nn.LSTM(16, 32, 2, True, True)


@refactoring("efficientnet_b0", "cosmetic")
def gate_multiplied_the_other_way(model):
    def other_way(self, x):
        return x * self._scale(x)

    forward(model.features[3][0].block[2], other_way)


@refactoring("convnext_tiny", "cosmetic")
def permutations_as_functions(model):
    """The permuting modules of one block as functions of its forward."""
    block = model.features[1][0]
    steps = block.block

    def functional(self, x):
        y = steps[0](x).permute(0, 2, 3, 1)
        y = steps[5](steps[4](steps[3](steps[2](y)))).permute(0, 3, 1, 2)
        return self.stochastic_depth(self.layer_scale * y) + x

    forward(block, functional)


assert {entry.subject for entry in REFACTORINGS} <= SUBJECTS.keys()
