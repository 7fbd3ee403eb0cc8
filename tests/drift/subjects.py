"""The real models that are mutated and refactored, small enough to be recorded many times."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
import torchvision
from torch import nn

from pytest_archcheck import Trace, spec, trace

IMAGE = (1, 3, 224, 224)


class Subject(NamedTuple):
    """A model under test: what builds it, and what it is called with."""

    factory: Callable[[], nn.Module]
    inputs: Any = IMAGE
    kwargs: dict[str, Any] | None = None
    train: bool = False
    device: str = "meta"


def _vision(name: str, **options: Any) -> Callable[[], nn.Module]:
    return functools.partial(torchvision.models.get_model, name, weights=None, **options)


def _timm(name: str, **options: Any) -> Callable[[], nn.Module]:
    def factory() -> nn.Module:
        timm = pytest.importorskip("timm")
        return timm.create_model(name, **options)

    return factory


def _transformers(name: str, **config: Any) -> Callable[[], nn.Module]:
    def factory() -> nn.Module:
        if tuple(map(int, torch.__version__.split(".")[:2])) < (2, 6):
            pytest.skip("transformers wants torch 2.6 or newer")
        transformers = pytest.importorskip("transformers")
        cls = getattr(transformers, name)
        return cls(cls.config_class(**config))

    return factory


_TEXT = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 64,
    "vocab_size": 100,
}
_WORDS = spec(1, 16, dtype="int64", high=100)

SUBJECTS: dict[str, Subject] = {
    "resnet18": Subject(_vision("resnet18")),
    "resnet50": Subject(_vision("resnet50")),
    "alexnet": Subject(_vision("alexnet")),
    "vgg11_bn": Subject(_vision("vgg11_bn")),
    "densenet121": Subject(_vision("densenet121")),
    "googlenet": Subject(_vision("googlenet", init_weights=False), (2, 3, 224, 224), train=True),
    "inception_v3": Subject(_vision("inception_v3", init_weights=False), (1, 3, 299, 299)),
    "mobilenet_v2": Subject(_vision("mobilenet_v2")),
    "mobilenet_v3_small": Subject(_vision("mobilenet_v3_small")),
    "efficientnet_b0": Subject(_vision("efficientnet_b0")),
    "convnext_tiny": Subject(_vision("convnext_tiny")),
    "swin_t": Subject(_vision("swin_t")),
    "vit_b_16": Subject(_vision("vit_b_16")),
    "maxvit_t": Subject(_vision("maxvit_t")),
    "deeplabv3_resnet50": Subject(
        _vision("deeplabv3_resnet50", weights_backbone=None, aux_loss=True), (1, 3, 128, 128)
    ),
    "ecaresnet50t": Subject(_timm("ecaresnet50t")),
    "timm_vit": Subject(_timm("vit_tiny_patch16_224")),
    "timm_mixer": Subject(_timm("mixer_s32_224")),
    "bert": Subject(_transformers("BertModel", **_TEXT), _WORDS),
    "gpt2": Subject(
        _transformers("GPT2LMHeadModel", n_embd=32, n_layer=3, n_head=4, vocab_size=100, use_cache=False),
        _WORDS,
        device="cpu",
    ),
    "llama": Subject(
        _transformers("LlamaForCausalLM", **_TEXT, num_key_value_heads=2, use_cache=False),
        _WORDS,
        device="cpu",
    ),
    "t5": Subject(
        _transformers(
            "T5Model", d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, vocab_size=100, use_cache=False
        ),
        (),
        {"input_ids": _WORDS, "decoder_input_ids": spec(1, 8, dtype="int64", high=100)},
    ),
    "transformer": Subject(
        lambda: nn.TransformerEncoder(
            nn.TransformerEncoderLayer(32, 4, 64, batch_first=True), 3, enable_nested_tensor=False
        ),
        (1, 5, 32),
    ),
    "lstm": Subject(lambda: nn.LSTM(16, 32, num_layers=2, batch_first=True), (1, 5, 16)),
}


def built(name: str) -> nn.Module:
    """One of the models, without values where that works."""
    factory = SUBJECTS[name].factory
    if SUBJECTS[name].device == "cpu" or name.startswith("timm"):
        return factory()
    with torch.device("meta"):
        return factory()


def recorded_as(name: str, model: nn.Module) -> Trace:
    """A model's trace, recorded as the subject of this name is."""
    subject = SUBJECTS[name]
    return trace(model, subject.inputs, kwargs=subject.kwargs, train=subject.train, device=subject.device)


@functools.cache
def original(name: str) -> Trace:
    """The trace of the subject itself."""
    return recorded_as(name, built(name))
