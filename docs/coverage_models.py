"""The models of the coverage table: what builds each, and what it is called with."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from pytest_archcheck import spec

TIMM = """
beit_base_patch16_224 halonet_h1 bat_resnext26ts cait_xxs24_224 coat_tiny convit_tiny convmixer_768_32 convnext_atto
cpubone_nano crossvit_tiny_240 csatv2 cs3darknet_focus_s cspnext_tiny davit_tiny deit_tiny_patch16_224 densenet121
dla46x_c dla34 dpn48b dpn68 edgenext_xx_small efficientformer_l1 efficientformerv2_s0 efficientnet_b0 efficientvim_m1
efficientvit_b0 efficientvit_m0 eva02_tiny_patch14_224 fasternet_t0 fastvit_t8 focalnet_tiny_srf gcvit_xxtiny
ghostnet_050 hardcorenas_b hgnetv2_b0 hiera_tiny_224 sam2_hiera_tiny hrnet_w18_small iformer_t inception_next_atto
inception_resnet_v2 inception_v4 lcnetv2_small levit_128s lowformer_b0 mambaout_femto coatnet_0_224
maxvit_tiny_tf_224 poolformerv2_s12 gmlp_ti16_224 mixer_s32_224 mobilenetv3_small_050 mobilenetv4_conv_small
mobilevit_xxs mvitv2_tiny naflexvit_base_patch16_parfac_gap nasnetalarge nest_tiny nextvit_small nfnet_f0 pit_ti_224
pnasnet5large pvt_v2_b0 rdnet_tiny regnetx_002 regnetz_c16 repghostnet_050 repvgg_a0 repvit_m1 res2next50 resnest14d
resnet50 seresnet50 ecaresnet26t resnetv2_18 rexnet_100 selecsls42 legacy_seresnet18 sequencer2d_s shvit_s1 skresnet18
starnet_s050 swiftformer_xs swin_tiny_patch4_window7_224 swinv2_tiny_window8_256 swinv2_cr_tiny_224 tiny_vit_5m_224
tnt_s_legacy_patch16_224 tresnet_m twins_svt_small vgg11 visformer_tiny vit_tiny_patch16_224 vit_tiny_r_s16_p8_224
vit_relpos_small_patch16_224 vitamin_small_224 volo_d1_224 ese_vovnet19b_slim_dw legacy_xception xception41p
xcit_nano_12_p8_224
"""


class Entry(NamedTuple):
    """One row: a factory, positional inputs and keyword arguments."""

    name: str
    model: Callable[[], Any]
    inputs: Any
    kwargs: dict[str, Any] | None = None


def torchvision_entries() -> Iterator[Entry]:
    """All of torchvision, classification, segmentation, detection, video, optical flow and quantized."""
    import torchvision
    from torchvision import models

    for name in models.list_models():
        options: dict[str, Any] = {"weights": None}
        module = models.get_model_builder(name).__module__
        if name in ("googlenet", "inception_v3"):
            options["init_weights"] = False
        if "segmentation" in module or "detection" in module:
            options["weights_backbone"] = None
        if name.startswith("quantized_"):
            options["quantize"] = True
        yield Entry(
            name,
            functools.partial(_quiet, torchvision.models.get_model, name, **options),
            _inputs(name, module),
        )


def timm_entries() -> Iterator[Entry]:
    """One or two models of each family of timm, each at the size of its configuration."""
    import timm

    for name in TIMM.split():
        size = timm.get_pretrained_cfg(name, allow_unregistered=True)
        shape = (1, *(size.input_size if size else (3, 224, 224)))
        yield Entry(name, functools.partial(_quiet, timm.create_model, name, pretrained=False), shape)


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
    yield entry("ModernBertModel", {**small, **special, "cls_token_id": 1, "sep_token_id": 2})
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
    yield entry("SegformerModel", {}, (1, 3, 64, 64))
    yield entry("ResNetModel", {}, (1, 3, 64, 64))
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


def _from_config(name: str, config: dict[str, Any]) -> Any:
    import transformers

    transformers.logging.set_verbosity_error()
    cls = getattr(transformers, name)
    return _quiet(cls, cls.config_class(**config))


def _inputs(name: str, module: str) -> Any:
    """What torchvision's models of one kind take, at a size that keeps the run short."""
    if "detection" in module:
        return [(3, 320, 320)]
    if "optical_flow" in module:
        return ((1, 3, 128, 128), (1, 3, 128, 128))
    if "video" in module:
        size = {"s3d": 224}.get(name, 224 if name.startswith(("mvit", "swin3d")) else 112)
        return (1, 3, 16, size, size)
    if "segmentation" in module:
        return (2, 3, 224, 224)
    return (1, 3, 299, 299) if "inception" in name else (1, 3, 224, 224)


def _quiet(build: Callable[..., Any], *args: Any, **options: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return build(*args, **options)
