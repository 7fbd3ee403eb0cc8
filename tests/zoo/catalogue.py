"""The models of the zoo: what builds each, and what it is called with. Weights are never loaded.

torchvision's images have the size that the metadata of its first weights is for, so that ``_ops`` can be compared.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from pytest_archcheck import spec

TIMM = """
beit_base_patch16_224 coatnet_0_224 convit_tiny convmixer_768_32 convnext_atto cpubone_nano cs3darknet_focus_s
cspnext_tiny deit_tiny_patch16_224 dla34 dla46x_c dpn48b ecaresnet26t edgenext_xx_small efficientformer_l1
efficientnet_b0 efficientnet_lite0 efficientvit_b0 ese_vovnet19b_slim_dw fasternet_t0 gmlp_ti16_224 hgnetv2_b0
hiera_tiny_224 inception_next_atto lcnet_050 legacy_seresnet18 legacy_xception mambaout_femto maxvit_tiny_tf_224
mixer_s32_224 mobilenetv1_100 mobilenetv3_small_050 mobilenetv4_conv_small mobilevit_xxs nfnet_f0 pit_ti_224
poolformerv2_s12 pvt_v2_b0 regnetx_002 repvgg_a0 res2next50 resnest14d resnet26d resnet50 resnetv2_18 selecsls42
seresnet50 seresnext26d_32x4d skresnet18 starnet_s050 swiftformer_xs swin_tiny_patch4_window7_224 tiny_vit_5m_224
tinynet_e twins_svt_small visformer_tiny vit_tiny_patch16_224 vit_tiny_r_s16_p8_224 volo_d1_224 xception41p
"""
"""Small models of sixty kinds; their snapshots are committed."""

MORE_OF_TIMM = """
bat_resnext26ts cait_xxs24_224 coat_tiny crossvit_tiny_240 csatv2 davit_tiny densenet121 dpn68 efficientformerv2_s0
efficientvim_m1 efficientvit_m0 eva02_tiny_patch14_224 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny ghostnet_050
halonet_h1 hardcorenas_b hrnet_w18_small iformer_t inception_resnet_v2 inception_v4 lcnetv2_small levit_128s
lowformer_b0 mvitv2_tiny naflexvit_base_patch16_parfac_gap nasnetalarge nest_tiny nextvit_small pnasnet5large
rdnet_tiny regnetz_c16 repghostnet_050 repvit_m1 rexnet_100 sam2_hiera_tiny sequencer2d_s shvit_s1
swinv2_cr_tiny_224 swinv2_tiny_window8_256 tnt_s_legacy_patch16_224 tresnet_m vgg11 vit_relpos_small_patch16_224
vitamin_small_224 xcit_nano_12_p8_224
"""
"""What is only tried in the coverage table: larger ones, and more of a kind."""

SIZES = {
    "tinynet_e": 106,
    "nfnet_f0": 192,
    "crossvit_tiny_240": 240,
    **dict.fromkeys(
        "cs3darknet_focus_s ecaresnet26t edgenext_xx_small mobilevit_xxs bat_resnext26ts".split(), 256
    ),
    **dict.fromkeys("fastvit_t8 halonet_h1 regnetz_c16 swinv2_tiny_window8_256".split(), 256),
    **dict.fromkeys("legacy_xception xception41p inception_resnet_v2 inception_v4".split(), 299),
    "nasnetalarge": 331,
    "pnasnet5large": 331,
    "naflexvit_base_patch16_parfac_gap": 384,
    "csatv2": 512,
    "sam2_hiera_tiny": 896,
}
"""The image sizes of timm's configurations where they are not 224."""


_SMALL = {"min_size": 64, "max_size": 64}
_DETECTING_NOTHING: dict[str, dict[str, Any]] = {
    # 755 proposals, all of them anchors, which no suppression thins out; no box is sure enough
    "rcnn": {**_SMALL, "rpn_pre_nms_top_n_test": 500, "rpn_nms_thresh": 1.0, "box_score_thresh": 1.1},
    "ssd": {"score_thresh": 1.1},
    "other": {**_SMALL, "score_thresh": 1.1},
}
"""How many boxes a detector with random weights finds is chance, and another on another processor."""


class Entry(NamedTuple):
    """One row: a factory, positional inputs and keyword arguments."""

    name: str
    model: Callable[[], Any]
    inputs: Any
    kwargs: dict[str, Any] | None = None


def torchvision_entries() -> Iterator[Entry]:
    """All of torchvision, classification, segmentation, detection, video, optical flow and quantized."""
    from torchvision import models

    for name in models.list_models():
        options: dict[str, Any] = {"weights": None}
        module = models.get_model_builder(name).__module__
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False
        if "segmentation" in module or "detection" in module:
            options["weights_backbone"] = None
        if "detection" in module:
            options |= _DETECTING_NOTHING["rcnn" if "rcnn" in name else "ssd" if "ssd" in name else "other"]
        if name.startswith(("fcn", "deeplab")):
            options["aux_loss"] = True  # as the builder has it with weights
        if name.startswith("quantized_"):
            options["quantize"] = True
        if name == "vit_h_14":
            options["image_size"] = 518  # too
        yield Entry(name, functools.partial(_from_torchvision, name, options), _inputs(name, module))


def timm_entries(names: str = TIMM) -> Iterator[Entry]:
    """Models of timm, each at the size of its configuration."""
    for name in names.split():
        size = SIZES.get(name, 224)
        yield Entry(name, functools.partial(_from_timm, name), (1, 3, size, size))


def transformers_entries() -> Iterator[Entry]:
    """Models of transformers, each from a small configuration."""
    small = {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 64,
        "vocab_size": 100,
    }
    grouped = {**small, "num_key_value_heads": 2}
    image = {
        key: small[key]
        for key in ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size")
    }
    pixels = {**image, "image_size": 32, "patch_size": 8}
    tokens = spec(1, 16, dtype="int64", high=90)
    both = {"input_ids": tokens, "decoder_input_ids": tokens}
    audio = {"d_model": 32, "encoder_layers": 2, "decoder_layers": 2, "encoder_attention_heads": 4}
    heads = {"decoder_attention_heads": 4, "encoder_ffn_dim": 64, "decoder_ffn_dim": 64}
    seq2seq = {**audio, **heads, "vocab_size": 100}
    gpt = {"n_embd": 32, "n_layer": 2, "n_head": 4, "vocab_size": 100}
    special = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2}

    def entry(name: str, config: dict[str, Any], inputs: Any = tokens, kwargs: Any = None) -> Entry:
        return Entry(name, functools.partial(_from_config, name, config), inputs, kwargs)

    yield entry("BertModel", small)
    yield entry("RobertaModel", small)
    yield entry(
        "DistilBertModel", {"dim": 32, "n_layers": 2, "n_heads": 4, "hidden_dim": 64, "vocab_size": 100}
    )
    yield entry("AlbertModel", {**small, "embedding_size": 16})
    yield entry("ElectraModel", {**small, "embedding_size": 16})
    yield entry("DebertaV2Model", small)
    yield entry("MPNetModel", small)
    yield entry(
        "ModernBertModel",
        # with two kinds of attention it computes them in the order of a set of strings, another in every process
        {**small, **special, "cls_token_id": 1, "sep_token_id": 2, "global_attn_every_n_layers": 1},
    )
    yield entry("GPT2LMHeadModel", gpt)
    yield entry("GPTNeoXForCausalLM", small)
    yield entry("OPTForCausalLM", {**small, "ffn_dim": 64, "word_embed_proj_dim": 32})
    yield entry("BloomForCausalLM", {"hidden_size": 32, "n_layer": 2, "n_head": 4, "vocab_size": 100})
    yield entry("LlamaForCausalLM", grouped)
    yield entry("MistralForCausalLM", grouped)
    yield entry("Qwen2ForCausalLM", grouped)
    yield entry("Gemma2ForCausalLM", {**grouped, "head_dim": 8})
    yield entry("Phi3ForCausalLM", {**grouped, **special})
    yield entry("MixtralForCausalLM", {**grouped, "num_local_experts": 4})
    yield entry("MambaModel", {"hidden_size": 32, "num_hidden_layers": 2, "vocab_size": 100})
    yield entry(
        "T5Model",
        {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_heads": 4, "vocab_size": 100},
        (),
        both,
    )
    yield entry("BartModel", seq2seq, (), both)
    yield entry("MarianModel", {**seq2seq, **special, "decoder_start_token_id": 0}, (), both)
    yield entry(
        "WhisperModel",
        {**seq2seq, **special, "max_source_positions": 50, "num_mel_bins": 20, "decoder_start_token_id": 1},
        (),
        {"input_features": (1, 20, 100), "decoder_input_ids": tokens},
    )
    yield entry(
        "Wav2Vec2Model",
        {
            **image,
            "conv_dim": (16, 16),
            "conv_stride": (5, 2),
            "conv_kernel": (10, 3),
            "num_feat_extract_layers": 2,
            "num_conv_pos_embeddings": 16,
        },
        (1, 1600),
    )
    yield entry("ViTModel", pixels, (1, 3, 32, 32))
    yield entry("DeiTModel", pixels, (1, 3, 32, 32))
    yield entry("BeitModel", pixels, (1, 3, 32, 32))
    yield entry("Dinov2Model", pixels, (1, 3, 32, 32))
    yield entry("ConvNextModel", {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 1, 2, 1]}, (1, 3, 64, 64))
    yield entry(
        "SwinModel",
        {"embed_dim": 8, "depths": [1, 1], "num_heads": [2, 2], "image_size": 32, "window_size": 4},
        (1, 3, 32, 32),
    )
    yield entry("SegformerModel", {"depths": [1, 1, 1, 1]}, (1, 3, 64, 64))
    yield entry("ResNetModel", {"depths": [2, 2, 2, 2], "layer_type": "basic"}, (1, 3, 64, 64))
    text, vision = {**small, "max_position_embeddings": 16}, pixels
    yield entry(
        "CLIPModel",
        {"text_config": {**text, **special}, "vision_config": vision, "projection_dim": 16},
        (),
        {"input_ids": tokens, "pixel_values": (1, 3, 32, 32)},
    )
    yield entry("DPTModel", {**pixels, "is_hybrid": False}, (1, 3, 32, 32))
    yield entry(
        "ViTMAEModel", {**pixels, "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1}, (1, 3, 32, 32)
    )


def _from_torchvision(name: str, options: dict[str, Any]) -> Any:
    import torch
    from torchvision import models

    if name.startswith("regnet"):
        with _widths_with_values():
            return _quiet(models.get_model, name, **options)
    model = _quiet(models.get_model, name, **options)
    if "rcnn" in name:
        with torch.no_grad():
            for parameter in model.rpn.head.bbox_pred.parameters():
                parameter.zero_()
    return model


@contextmanager
def _widths_with_values() -> Iterator[None]:
    """RegNet works its widths out with tensors, which need values also where its layers are built on meta."""
    import torch
    from torchvision.models.regnet import BlockParams

    def from_init_params(*args: Any, **options: Any) -> Any:
        with torch.device("cpu"):
            return of_class(*args, **options)

    of_class, kept = BlockParams.from_init_params, BlockParams.__dict__["from_init_params"]
    BlockParams.from_init_params = staticmethod(from_init_params)
    try:
        yield
    finally:
        BlockParams.from_init_params = kept


def _from_timm(name: str) -> Any:
    import timm

    return _quiet(timm.create_model, name, pretrained=False)


def _from_config(name: str, config: dict[str, Any]) -> Any:
    import transformers

    transformers.logging.set_verbosity_error()
    cls = getattr(transformers, name)
    return _quiet(cls, cls.config_class(**config))


def _inputs(name: str, module: str) -> Any:
    """What torchvision's models of one kind take; detectors, which run on cpu, a small image."""
    from torchvision import models

    if "detection" in module:
        return [(3, 300, 300)] if "ssd" in name else [(3, 64, 64)]
    if "optical_flow" in module:
        return ((1, 3, 512, 512), (1, 3, 512, 512))
    transforms = next(iter(models.get_model_weights(name))).transforms.keywords
    if "video" in module:
        return (1, 3, 16, *transforms["crop_size"])
    size = transforms["resize_size"] if "segmentation" in module else transforms["crop_size"]
    return (1, 3, size, size)


def _quiet(build: Callable[..., Any], *args: Any, **options: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(*args, **options)
