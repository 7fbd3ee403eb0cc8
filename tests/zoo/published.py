"""What others published of the models of the zoo.

torchvision's parameters and MACs are in the metadata of its weights and are not repeated here; depths and stages of
its models are in ``tests/graph/test_published_depths.py``.
"""

# name: parameters in 10⁶, multiply-accumulates in 10⁹, from the benchmark tables that timm publishes in its
# repository: results/benchmark-infer-amp-nchw-pt240-cu124-rtx3090.csv, and -pt291-cu128-4090.csv for the newest.
TIMM = {
    "beit_base_patch16_224": (86.53, 17.58),
    "coatnet_0_224": (25.04, 4.58),
    "convit_tiny": (5.71, 1.26),
    "convmixer_768_32": (21.11, 19.55),
    "convnext_atto": (3.70, 0.55),
    "cs3darknet_focus_s": (3.27, 0.69),
    "deit_tiny_patch16_224": (5.72, 1.26),
    "dla34": (15.74, 3.07),
    "dla46x_c": (1.07, 0.54),
    "dpn48b": (9.13, 1.69),
    "ecaresnet26t": (16.01, 3.35),
    "edgenext_xx_small": (1.33, 0.26),
    "efficientformer_l1": (12.29, 1.30),
    "efficientnet_b0": (5.29, 0.40),
    "efficientnet_lite0": (4.65, 0.40),
    "efficientvit_b0": (3.41, 0.10),
    "ese_vovnet19b_slim_dw": (1.90, 0.40),
    "fasternet_t0": (3.91, 0.34),
    "gmlp_ti16_224": (5.87, 1.34),
    "hgnetv2_b0": (6.00, 0.33),
    "hiera_tiny_224": (27.91, 4.91),
    "inception_next_atto": (4.16, 0.50),
    "legacy_seresnet18": (11.78, 1.82),
    "legacy_xception": (22.86, 8.40),
    "mambaout_femto": (7.30, 1.16),
    "maxvit_tiny_tf_224": (30.92, 5.60),
    "mixer_s32_224": (19.10, 1.00),
    "mobilenetv1_100": (4.23, 0.58),
    "mobilenetv3_small_050": (1.59, 0.03),
    "mobilenetv4_conv_small": (3.77, 0.19),
    "mobilevit_xxs": (1.27, 0.42),
    "nfnet_f0": (71.49, 7.21),
    "pit_ti_224": (4.85, 0.70),
    "poolformerv2_s12": (11.89, 1.83),
    "pvt_v2_b0": (3.67, 0.57),
    "regnetx_002": (2.68, 0.20),
    "repvgg_a0": (9.11, 1.52),
    "res2next50": (24.67, 4.20),
    "resnest14d": (10.61, 2.76),
    "resnet50": (25.56, 4.11),
    "resnetv2_18": (11.69, 1.82),
    "selecsls42": (30.35, 2.94),
    "seresnet50": (28.09, 4.11),
    "seresnext26d_32x4d": (16.81, 2.73),
    "skresnet18": (11.96, 1.82),
    "starnet_s050": (0.54, 0.09),
    "swiftformer_xs": (3.48, 0.61),
    "swin_tiny_patch4_window7_224": (28.29, 4.51),
    "tiny_vit_5m_224": (12.08, 1.28),
    "twins_svt_small": (24.06, 2.94),
    "visformer_tiny": (10.32, 1.27),
    "vit_tiny_patch16_224": (5.72, 1.26),
    "vit_tiny_r_s16_p8_224": (6.34, 0.44),
    "volo_d1_224": (26.63, 6.94),
    "xception41p": (26.91, 9.25),
}

# Depths by the convention paper, as papers or the names of the models say: arXiv 1512.03385 and 1603.05027 (ResNet),
# 1709.01507 (SE-ResNet), 1903.06586 (SK-ResNet), 1707.06484 (DLA), 1704.04861 (MobileNet), 1907.00837 (SelecSLS); 71 is
# Xception's in MATLAB's table. A stem of three convolutions, as ResNet-D's, measures two more than the name.
DEPTHS = {
    "resnet26d": 26 + 2,
    "resnet50": 50,
    "resnetv2_18": 18,
    "seresnet50": 50,
    "legacy_seresnet18": 18,
    "skresnet18": 18,
    "dla34": 34,
    "dla46x_c": 46,
    "mobilenetv1_100": 28,
    "selecsls42": 42,
    "legacy_xception": 71,
    "ecaresnet26t": 26 + 2,
    "seresnext26d_32x4d": 26 + 2,
    "resnest14d": 14 + 2,
}

# Blocks of each stage: arXiv 1512.03385 (ResNet), 2010.11929 (ViT), 2012.12877 (DeiT), 2106.08254 (BEiT), 2103.14030
# (Swin), 2105.01601 (MLP-Mixer), 2105.08050 (gMLP), 2106.04803 (CoAtNet), 2204.01697 (MaxViT),
# 2106.13797 (PVT v2), 2210.13452 (PoolFormer v2), 2306.00989 (Hiera), 2104.13840 (Twins), 2003.13678 (RegNet),
# 2102.06171 (NFNet), 2303.03667 (FasterNet), 1905.11946 (EfficientNet).
STAGES = {
    "resnet26d": (2, 2, 2, 2),
    "resnet50": (3, 4, 6, 3),
    "seresnet50": (3, 4, 6, 3),
    "res2next50": (3, 4, 6, 3),
    "vit_tiny_patch16_224": (12,),
    "deit_tiny_patch16_224": (12,),
    "beit_base_patch16_224": (12,),
    "swin_tiny_patch4_window7_224": (2, 2, 6, 2),
    "mixer_s32_224": (8,),
    "gmlp_ti16_224": (30,),
    "coatnet_0_224": (2, 3, 5, 2),
    "maxvit_tiny_tf_224": (2, 2, 5, 2),
    "pvt_v2_b0": (2, 2, 2, 2),
    "poolformerv2_s12": (2, 2, 6, 2),
    "hiera_tiny_224": (1, 2, 7, 2),
    "twins_svt_small": (2, 2, 10, 4),
    "regnetx_002": (1, 1, 4, 7),
    "nfnet_f0": (1, 2, 6, 3),
    "fasternet_t0": (1, 2, 8, 2),
    "efficientnet_b0": (1, 2, 2, 3, 3, 4, 1),
}

# Parameters of the configurations that transformers has as defaults, which are those of models on its hub:
# bert-base-uncased, gpt2, distilbert-base-uncased, t5-small, vit-base-patch16-224-in21k, clip-vit-base-patch32,
# Llama-2-7b, Mistral-7B-v0.1 and Mixtral-8x7B-v0.1.
TRANSFORMERS = {
    "BertModel": 109_482_240,
    "GPT2LMHeadModel": 124_439_808,
    "DistilBertModel": 66_362_880,
    "T5Model": 60_506_624,
    "ViTModel": 86_389_248,
    "CLIPModel": 151_277_313,
    "LlamaForCausalLM": 6_738_415_616,
    "MistralForCausalLM": 7_241_732_096,
    "MixtralForCausalLM": 46_702_792_704,
}
