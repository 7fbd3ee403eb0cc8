"""The committed snapshots against what others published of the same models."""

import warnings

import pytest
import torch
import transformers
from torchvision import models

from pytest_archcheck import Trace
from tests.zoo import catalogue, committed, published

TORCHVISION = [e.name for e in catalogue.torchvision_entries()]
DETECTORS = [name for name in TORCHVISION if "detection" in models.get_model_builder(name).__module__]
MORE_PARAMETERS = {
    "googlenet": "the auxiliary heads, which builders drop with weights",
    **dict.fromkeys(DETECTORS, "batch norms, which builders freeze with weights"),
}


def snapshot(test, name):
    return Trace.from_text(committed.text_of(test, name))


@pytest.mark.parametrize("name", [name for name in TORCHVISION if name not in DETECTORS])
def test_torchvision_is_as_its_metadata_says(name):
    """Multiply-accumulates to three decimals of 10⁹, parameters to the last; those of quantized models are packed."""
    trace, meta = snapshot("test_torchvision", name), next(iter(models.get_model_weights(name))).meta

    assert trace.status == "complete"
    assert round(trace.macs / 1e9, 3) == meta["_ops"]
    if name not in MORE_PARAMETERS and not name.startswith("quantized_"):
        assert trace.params.total == meta["num_params"]


@pytest.mark.parametrize("name", published.TIMM)
def test_timm_is_as_its_tables_say(name):
    """Parameters to two decimals of 10⁶. timm's counter adds norms and more, which is up to 4 % of these."""
    parameters, macs = published.TIMM[name]
    trace = snapshot("test_timm", name)

    assert f"{trace.params.total / 1e6:.2f}" == f"{parameters:.2f}"
    if (
        name == "convmixer_768_32"
    ):  # there without its 32 depthwise convolutions of 7 × 7, padded to the same size
        macs += 32 * 768 * 49 * 32 * 32 / 1e9
    assert 0.96 * macs - 0.005 <= trace.macs / 1e9 <= macs + 0.005


@pytest.mark.parametrize("name", published.DEPTHS)
def test_depth_is_as_published(name):
    assert snapshot("test_timm", name).depth("paper") == published.DEPTHS[name]


@pytest.mark.parametrize("name", published.STAGES)
def test_stages_are_as_published(name):
    assert snapshot("test_timm", name).stages == published.STAGES[name]


@committed.needs_transformers
@pytest.mark.parametrize("name", published.TRANSFORMERS)
def test_default_configurations_of_transformers_are_the_published_models(name):
    cls = getattr(transformers, name)
    with torch.device("meta"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = cls(cls.config_class())

    assert sum(parameter.numel() for parameter in model.parameters()) == published.TRANSFORMERS[name]


LAYERS = {
    "BertModel": 2,
    "GPT2LMHeadModel": 2,
    "LlamaForCausalLM": 2,
    "ViTModel": 2,
    "T5Model": 4,
    "BartModel": 4,
}


@pytest.mark.parametrize("name", LAYERS)
def test_blocks_of_transformers_are_the_layers_of_their_configuration(name):
    assert snapshot("test_transformers", name).depth("blocks") == LAYERS[name]


def test_every_model_has_a_snapshot_and_every_snapshot_a_model():
    names = {f"test_torchvision[{name}]" for name in TORCHVISION}
    names |= {f"test_timm[{entry.name}]" for entry in catalogue.timm_entries()}
    names |= {f"test_transformers[{entry.name}]" for entry in catalogue.transformers_entries()}

    assert {path.stem for path in committed.ZOO.iterdir()} == names


def test_the_zoo_is_as_large_as_it_says():
    """All of torchvision, 60 models of timm and 35 of transformers, in less than 15 MB."""
    folders = (committed.SNAPSHOTS, committed.OVERLAID)
    sizes = [path.stat().st_size for folder in folders for path in folder.rglob("*.arch")]

    assert sorted(models.list_models()) == sorted(TORCHVISION)
    assert len(list(catalogue.timm_entries())) >= 60
    assert len(list(catalogue.transformers_entries())) >= 35
    assert sum(sizes) < 15_000_000


def test_every_overlay_is_another_architecture_than_the_snapshot():
    for overlay in committed.OVERLAYS:
        text = overlay.path.read_text("utf-8")

        assert Trace.from_text(text) != snapshot("test_transformers", overlay.model), overlay
