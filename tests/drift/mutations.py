"""Changes of architecture, most of them bugs that reached users, and what has to be said of each.

``told`` are the causes above cosmetic, the gravest first, as the explanation lists them. Where a bug happened is in the
comment beside it; a number after a name is an issue of that project.
"""

from __future__ import annotations

import types
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torchvision
from torch import nn
from torch.nn import functional as F

from tests.drift.subjects import SUBJECTS


class Mutation(NamedTuple):
    """A change of a subject: in place, or by handing another model back."""

    name: str
    subject: str
    change: Callable[[Any], Any]
    told: list[str]


MUTATIONS: list[Mutation] = []
_VISION = tuple(map(int, torchvision.__version__.split(".")[:2]))
HEADS = ("aux2.fc2", "aux1.fc2") if _VISION < (0, 21) else ("aux1.fc2", "aux2.fc2")
"""GoogLeNet's first and second: before vision 8743 was mended they were exchanged."""


def mutation(subject: str, *told: str) -> Callable[[Callable[[Any], Any]], Callable[[Any], Any]]:
    """Add a change to the catalogue under its function's name."""

    def add(change: Callable[[Any], Any]) -> Callable[[Any], Any]:
        MUTATIONS.append(Mutation(change.__name__, subject, change, list(told)))
        return change

    return add


def forward(module: nn.Module, function: Callable[..., Any]) -> None:
    """Give a module another forward."""
    module.forward = types.MethodType(function, module)


def each(model: nn.Module, cls: type[nn.Module], **settings: Any) -> None:
    """Set attributes of all modules of a class."""
    for module in model.modules():
        if isinstance(module, cls):
            vars(module).update(settings)


# -- strides, kernels, widths, dilation --------------------------------------------------------------


@mutation(
    "resnet50",
    "layer{2-4}.0.conv1 stride (1, 1) → (2, 2) (3 of 16)  [behaviour]",
    "layer{2-4}.0.conv2 stride (2, 2) → (1, 1) (3 of 16)  [behaviour]",
)
def stride_on_another_convolution(model):  # ResNet v1.5 to v1: vision 1266, 606
    for stage in (model.layer2, model.layer3, model.layer4):
        stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)


@mutation(
    "mobilenet_v3_small",
    "features.4.block.1.0 kernel_size (5, 5) → (3, 3)  [breaking]",
    "features.4.block.1.0 padding (2, 2) → (1, 1)  [behaviour]",
)
def kernel_five_became_three(model):  # vision 906
    old = model.features[4].block[1][0]
    model.features[4].block[1][0] = nn.Conv2d(96, 96, 3, old.stride, 1, groups=96, bias=False, device="meta")


@mutation(
    "efficientnet_b0",
    "features.0.0, features.1.0.block.1.fc2 out_channels 32 → 24 (2 of 81 Conv2d)  [breaking]",
)
def stem_not_scaled(model):  # pytorch 31471
    model.features[0][0] = nn.Conv2d(3, 24, 3, 2, 1, bias=False, device="meta")
    model.features[0][1] = nn.BatchNorm2d(24, device="meta")
    block = model.features[1][0].block
    block[0][0] = nn.Conv2d(24, 24, 3, 1, 1, groups=24, bias=False, device="meta")
    block[0][1] = nn.BatchNorm2d(24, device="meta")
    block[1].fc1 = nn.Conv2d(24, 8, 1, device="meta")
    block[1].fc2 = nn.Conv2d(8, 24, 1, device="meta")
    block[2][0] = nn.Conv2d(24, 16, 1, bias=False, device="meta")


@mutation(
    "mobilenet_v2",
    "features.{7-10}.conv.2 out_channels 64 → 63 (4 of 17)  [breaking]",
    "features.{8-11}.conv.0.0 out_channels 384 → 378 (4 of 33)  [breaking]",
    "features.{11-13}.conv.2 out_channels 96 → 95 (3 of 17)  [breaking]",
    "features.{12-14}.conv.0.0 out_channels 576 → 570 (3 of 33)  [breaking]",
    "features.{14-16}.conv.2 out_channels 160 → 158 (3 of 17)  [breaking]",
    "features.{15-17}.conv.0.0 out_channels 960 → 948 (3 of 33)  [breaking]",
    "features.17.conv.2 out_channels 320 → 317  [breaking]",
)
def width_not_rounded(model):  # vision 973
    return torchvision.models.mobilenet_v2(weights=None, round_nearest=1, width_mult=0.99)


@mutation(
    "deeplabv3_resnet50",
    "backbone.layer4.{1,2}.conv2 padding (4, 4) → (1, 1) (2 of 16)  [behaviour]",
    "backbone.layer4.{1,2}.conv2 dilation (4, 4) → (1, 1) (2 of 16)  [behaviour]",
)
def dilation_lost(model):  # Detectron 388
    for block in list(model.backbone.layer4)[1:]:
        block.conv2.dilation = block.conv2.padding = (1, 1)


@mutation(
    "resnet18",
    'conv1 padding_mode "zeros" → "reflect"  [behaviour]',
)
def padding_reflects(model):
    model.conv1.padding_mode = "reflect"


@mutation(
    "resnet18",
    "maxpool padding (1, 1) → (0, 0)  [behaviour]",
    "maxpool ceil_mode False → True  [behaviour]",
)
def pool_rounds_up(model):
    model.maxpool.ceil_mode = True
    model.maxpool.padding = 0


@mutation(
    "googlenet",
    "maxpool3 ceil_mode True → False  [behaviour]",
)
def pool_rounds_down(model):
    model.maxpool3.ceil_mode = False


@mutation(
    "resnet18",
    "fc out_features 1000 → 10  [breaking]",
)
def another_number_of_classes(model):
    model.fc = nn.Linear(512, 10, device="meta")


@mutation(
    "resnet18",
    "fc bias True → False  [breaking]",
)
def bias_lost(model):
    model.fc = nn.Linear(512, 1000, bias=False, device="meta")


@mutation(
    "resnet50",
    "layer4.{0-2}.conv2 groups 1 → 32 (3 of 16)  [breaking]",
)
def groups(model):  # ResNeXt by mistake
    for block in model.layer4:
        block.conv2 = nn.Conv2d(512, 512, 3, block.conv2.stride, 1, groups=32, bias=False, device="meta")


@mutation(
    "lstm",
    "the model hidden_size 32 → 16  [breaking]",
    "the model bidirectional False → True  [breaking]",
)
def one_direction_more(model):
    return nn.LSTM(16, 16, num_layers=2, batch_first=True, bidirectional=True, device="meta")


# -- norms -------------------------------------------------------------------------------------------


@mutation(
    "vit_b_16",
    "in 12 of 12 encoder.layers.encoder_layer_*: ln_1 eps 1e-06 → 1e-12  [behaviour]",
)
def layer_norm_eps(model):  # transformers 18137
    for block in model.encoder.layers:
        block.ln_1.eps = 1e-12


@mutation(
    "bert",
    "encoder.layer.0.attention.output.LayerNorm, encoder.layer.0.output.LayerNorm, … encoder.layer.2.output.LayerNorm eps 1e-12 → 1e-06 (6 of 7 LayerNorm)  [behaviour]",
)
def bert_eps(model):  # transformers 18137
    for layer in model.encoder.layer:
        layer.attention.output.LayerNorm.eps = layer.output.LayerNorm.eps = 1e-6


@mutation(
    "llama",
    "in 3 of 3 model.layers.*: input_layernorm:add input 2 1e-06 → 1e-05  [behaviour]",
)
def rms_eps(model):
    for layer in model.model.layers:
        layer.input_layernorm.variance_epsilon = 1e-5


@mutation(
    "resnet18",
    "layer1.0.bn1 eps 1e-05 → 0.001  [behaviour]",
)
def batch_norm_eps(model):  # vision 2933
    model.layer1[0].bn1.eps = 1e-3


@mutation(
    "resnet50",
    "in 53 of 53 BatchNorm2d: eps 1e-05 → 0.001  [behaviour]",
)
def batch_norm_eps_everywhere(model):
    each(model, nn.BatchNorm2d, eps=1e-3)


@mutation(
    "maxvit_t",
    "in 34 of 34 BatchNorm2d: momentum 0.01 → 0.99  [training]",
)
def maxvit_momentum(model):  # vision 8250, mended in 0.18
    each(model, nn.BatchNorm2d, momentum=0.99)


@mutation(
    "efficientnet_b0",
    "in 49 of 49 BatchNorm2d: eps 1e-05 → 0.001  [behaviour]",
    "in 49 of 49 BatchNorm2d: momentum 0.1 → 0.99  [training]",
)
def momentum_of_tensorflow(model):
    each(model, nn.BatchNorm2d, momentum=0.99, eps=1e-3)


@mutation(
    "transformer",
    "in 3 of 3 TransformerEncoderLayer: norm_first False → True  [behaviour]",
)
def post_norm_became_pre_norm(model):  # gluon-nlp 1488
    for layer in model.layers:
        layer.norm_first = True


@mutation(
    "vit_b_16",
    "encoder.layers.encoder_layer_3 order ln_1, self_attention, dropout, add, ln_2, mlp, add#2 → self_attention, dropout, add, ln_1, mlp, add#2, ln_2  [behaviour]",
)
def pre_norm_became_post_norm(model):
    def post(self, x):
        attended, _ = self.self_attention(x, x, x, need_weights=False)
        x = self.ln_1(self.dropout(attended) + x)
        return self.ln_2(x + self.mlp(x))

    forward(model.encoder.layers[3], post)


@mutation(
    "resnet18",
    "layer2.1.bn1 class BatchNorm2d → GroupNorm  [breaking]",
)
def norm_of_another_kind(model):
    model.layer2[1].bn1 = nn.GroupNorm(32, 128, device="meta")


@mutation(
    "resnet18",
    "bn1 track_running_stats True → False  [breaking]",
)
def statistics_not_tracked(model):
    model.bn1 = nn.BatchNorm2d(64, track_running_stats=False, device="meta")


# -- activations -------------------------------------------------------------------------------------


@mutation(
    "resnet50",
    "layer3.2.relu class ReLU → GELU  [behaviour]",
)
def relu_became_gelu(model):
    model.layer3[2].relu = nn.GELU()


@mutation(
    "convnext_tiny",
    'in 18 of 18 GELU: approximate "none" → "tanh"  [behaviour]',
)
def gelu_became_approximate(model):  # transformers 29402
    each(model, nn.GELU, approximate="tanh")


@mutation(
    "bert",
    "in 3 of 3 encoder.layer.*: intermediate.intermediate_act_fn class transformers.activations.GELUActivation → GELU  [behaviour]",
)
def gelu_of_bert_became_approximate(model):  # transformers 29402
    for layer in model.encoder.layer:
        layer.intermediate.intermediate_act_fn = nn.GELU("tanh")


@mutation(
    "mobilenet_v2",
    "in 35 of 35 ReLU: class ReLU6 → ReLU  [behaviour]",
)
def relu6_became_relu(model):
    for block in model.modules():
        for name, child in list(block.named_children()):
            if isinstance(child, nn.ReLU6):
                setattr(block, name, nn.ReLU(inplace=True))


@mutation(
    "mobilenet_v3_small",
    "features.0.2 class Hardswish → SiLU  [behaviour]",
)
def hardswish_became_silu(model):
    model.features[0][2] = nn.SiLU(inplace=True)


@mutation(
    "efficientnet_b0",
    "features.2.0.block.2.scale_activation class Sigmoid → Hardsigmoid  [behaviour]",
)
def hard_gate(model):
    model.features[2][0].block[2].scale_activation = nn.Hardsigmoid()


@mutation(
    "timm_mixer",
    "blocks.2.mlp_tokens.act class GELU → ReLU  [behaviour]",
)
def activation_of_one_mixer(model):
    model.blocks[2].mlp_tokens.act = nn.ReLU()


@mutation(
    "resnet18",
    "fc renamed to fc.0  [breaking]",
    "fc.1 call absent → Softmax  [behaviour]",
)
def softmax_added(model):
    model.fc = nn.Sequential(model.fc, nn.Softmax(dim=1))


@mutation(
    "resnet18",
    "relu class ReLU → LeakyReLU  [behaviour]",
)
def leaky_slope(model):
    model.relu = nn.LeakyReLU(0.2)


# -- what is called, and in which order --------------------------------------------------------------


@mutation(
    "resnet18",
    "layer1.1.bn2 call BatchNorm2d → declared, not called  [behaviour]",
)
def norm_declared_and_not_called(model):  # transformers 17785
    def without(self, x):
        out = self.conv2(self.relu(self.bn1(self.conv1(x))))
        return self.relu(out + x)

    forward(model.layer1[1], without)


@mutation(
    "alexnet",
    "classifier.0 call Dropout → declared, not called  [training]",
)
def dropout_not_called(model):  # Informer2020 97
    def without(self, x):
        return nn.Sequential(*list(self)[1:])(x)

    forward(model.classifier, without)


@mutation(
    "vit_b_16",
    "encoder.layers.encoder_layer_5.mlp.1 call GELU → declared, not called  [behaviour]",
)
def activation_not_called(model):  # pretrained-models 90
    def without(self, x):
        return self[4](self[3](self[2](self[0](x))))

    forward(model.encoder.layers[5].mlp, without)


@mutation(
    "resnet50",
    "layer1.1.relu#2 call ReLU → absent  [behaviour]",
)
def one_activation_less(model):
    def without(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn3(self.conv3(self.bn2(self.conv2(out))))
        return self.relu(out + x)

    forward(model.layer1[1], without)


@mutation(
    "resnet18",
    "layer3.1 order add, relu#2 → relu#2, add  [behaviour]",
)
def activation_before_the_sum(model):
    def before(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out) + x

    forward(model.layer3[1], before)


@mutation(
    "bert",
    "embeddings calls expand ×2, gather, add → absent  [behaviour]",
    "embeddings.token_type_embeddings call Embedding → declared, not called  [behaviour]",
    "embeddings:add input 2 embeddings.token_type_embeddings → embeddings.position_embeddings  [behaviour]",
)
def dead_embeddings(model):  # transformers 30633: parameters that nothing uses
    def without(self, input_ids=None, token_type_ids=None, position_ids=None, **_):
        positions = self.position_ids[:, : input_ids.size(1)]
        return self.dropout(
            self.LayerNorm(self.word_embeddings(input_ids) + self.position_embeddings(positions))
        )

    forward(model.embeddings, without)


@mutation(
    "vit_b_16",
    "encoder:add call add → absent  [behaviour]",
)
def positions_not_added(model):
    def without(self, x):
        return self.ln(self.layers(self.dropout(x)))

    forward(model.encoder, without)


@mutation(
    "resnet18",
    "layer3 blocks 2 → 1  [breaking]",
)
def block_lost(model):
    model.layer3 = model.layer3[:1]


@mutation(
    "ecaresnet50t",
    "layer{1,4} blocks 3 → 2  [breaking]",
    "layer2 blocks 4 → 2  [breaking]",
    "layer3 blocks 6 → 2  [breaking]",
)
def fifty_layers_that_are_26(model):  # timm: ecaresnet50t_32x4d, for years
    import timm

    return timm.create_model("ecaresnet26t")


@mutation(
    "vit_b_16",
    "encoder.layers blocks 12 → 13  [breaking]",
)
def block_more(model):
    import copy

    model.encoder.layers.add_module("encoder_layer_12", copy.deepcopy(model.encoder.layers[11]))


@mutation(
    "vgg11_bn",
    "features.3 call absent → Conv2d  [breaking]",
)
def layer_inserted_into_a_sequence(model):
    layers = list(model.features)
    model.features = nn.Sequential(*layers[:3], nn.Conv2d(64, 64, 1, device="meta"), *layers[3:])


@mutation(
    "vgg11_bn",
    "features.5 call BatchNorm2d → absent  [breaking]",
)
def layer_removed_from_a_sequence(model):
    layers = list(model.features)
    model.features = nn.Sequential(*layers[:5], *layers[6:])


@mutation(
    "resnet18",
    "neck call absent → Linear  [breaking]",
)
def layer_added_with_a_name(model):
    model.neck = nn.Linear(512, 512, device="meta")

    def longer(self, x):
        x = self.layer4(
            self.layer3(self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))))
        )
        return self.fc(self.neck(torch.flatten(self.avgpool(x), 1)))

    forward(model, longer)


# -- data flow ---------------------------------------------------------------------------------------


@mutation(
    "resnet18",
    "layer1.1:add call add → absent  [behaviour]",
)
def residual_lost(model):  # delira 91
    def without(self, x):
        return self.relu(self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x))))))

    forward(model.layer1[1], without)


@mutation(
    "resnet18",
    "layer1.1:add input 2 layer1.0.relu#2 → layer1.1.bn2  [behaviour]",
)
def residual_of_the_wrong_tensor(model):  # vnet.pytorch 12
    def wrong(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out + out)

    forward(model.layer1[1], wrong)


@mutation(
    "resnet18",
    "layer2.1:add alpha absent → 0.5  [behaviour]",
)
def residual_scaled(model):
    def scaled(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(torch.add(out, x, alpha=0.5))

    forward(model.layer2[1], scaled)


@mutation(
    "resnet18",
    "layer2.1:mul call add → mul  [behaviour]",
)
def residual_multiplied(model):
    def multiplied(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        return self.relu(out * x)

    forward(model.layer2[1], multiplied)


@mutation(
    "densenet121",
    "features.denseblock4:cat input (featur…atures.denseblock4.denselayer16.conv2) → (features.denseblock4.denselayer16.con…yer1.conv2, features.transition3.pool)  [behaviour]",
)
def concatenated_in_another_order(model):
    def reverse(self, features):
        layers = [features]
        for layer in self.values():
            layers.append(layer(layers))
        return torch.cat(layers[::-1], 1)

    forward(model.features.denseblock4, reverse)


@mutation(
    "mobilenet_v3_small",
    "features.4.block.2:mul call mul → absent  [behaviour]",
)
def gate_not_applied(model):
    def ungated(self, x):
        self.scale_activation(self.fc2(self.activation(self.fc1(self.avgpool(x)))))
        return x

    forward(model.features[4].block[2], ungated)


@mutation(
    "vit_b_16",
    ":mean call getitem → mean  [behaviour]",
)
def mean_instead_of_the_class_token(model):
    def mean(self, x):
        x = self._process_input(x)
        x = torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)
        return self.heads(self.encoder(x).mean(1))

    forward(model, mean)


@mutation(
    "googlenet",
    f"output .aux_logits2 source {HEADS[1]} → {HEADS[0]}  [breaking]",
    f"output .aux_logits1 source {HEADS[0]} → {HEADS[1]}  [breaking]",
)
def auxiliary_heads_exchanged(model):  # vision 8743
    whole = type(model)._forward

    def exchanged(self, x):
        x, aux2, aux1 = whole(self, x)
        return x, aux1, aux2

    model._forward = types.MethodType(exchanged, model)


@mutation(
    "deeplabv3_resnet50",
    "aux_classifier call torchvision.models.segmentation.fcn.FCNHead → absent  [breaking]",
)
def auxiliary_head_lost(model):
    model.aux_classifier = None


@mutation(
    "resnet18",
    "layer4.1:detach call absent → detach  [training]",
)
def gradient_stopped(model):
    def stopped(self, x):
        out = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x.detach())))))
        return self.relu(out + x)

    forward(model.layer4[1], stopped)


# -- attention ---------------------------------------------------------------------------------------


@mutation(
    "vit_b_16",
    "in 12 of 12 encoder.layers.encoder_layer_*: self_attention num_heads 12 → 6  [behaviour]",
)
def number_of_heads(model):  # fvcore 153
    for block in model.encoder.layers:
        block.self_attention.num_heads, block.self_attention.head_dim = 6, 128


@mutation(
    "llama",
    "model.layers.0.self_attn.k_proj, model.layers.0.self_attn.v_proj, … model.layers.2.self_attn.v_proj out_features 16 → 8 (6 of 22 Linear)  [breaking]",
)
def heads_share_more(model):
    for layer in model.model.layers:
        layer.self_attn.k_proj = nn.Linear(32, 8, bias=False)
        layer.self_attn.v_proj = nn.Linear(32, 8, bias=False)
        layer.self_attn.num_key_value_groups = 4


@mutation(
    "gpt2",
    "in 3 of 3 transformer.h.*: attn:scaled_dot_product_attention is_causal True → absent  [behaviour]",
)
def causal_flag(model):
    for layer in model.transformer.h:
        layer.attn.is_causal = False


@mutation(
    "gpt2",
    "in 3 of 3 transformer.h.*: attn:scaled_dot_product_attention scale 0.3535533905932738 → 1.0  [behaviour]",
)
def attention_scale(model):
    for layer in model.transformer.h:
        layer.attn.scaling = 1.0


@mutation(
    "timm_vit",
    "blocks.4.attn calls scaled_dot_product_attention → mul, matmul ×2, softmax, transpose  [behaviour]",
    "blocks.4.attn:transpose dim0 1 → -2  [behaviour]",
    "blocks.4.attn:transpose dim1 2 → -1  [behaviour]",
)
def scale_of_one_attention(model):
    model.blocks[4].attn.fused_attn = False
    model.blocks[4].attn.scale = 1.0


@mutation(
    "swin_t",
    "features.1.1.attn shift_size (3, 3) → (0, 0)  [behaviour]",
)
def shift_lost(model):
    model.features[1][1].attn.shift_size = [0, 0]


# -- pooling and interpolation -----------------------------------------------------------------------


@mutation(
    "inception_v3",
    "Mixed_5b:avg_pool2d count_include_pad absent → False  [behaviour]",
)
def padding_not_counted(model):  # TensorFlow's average pooling
    def tensorflow(self, x):
        one = self.branch1x1(x)
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        pool = self.branch_pool(F.avg_pool2d(x, kernel_size=3, stride=1, padding=1, count_include_pad=False))
        return [one, five, three, pool]

    model.Mixed_5b._forward = types.MethodType(tensorflow, model.Mixed_5b)


@mutation(
    "deeplabv3_resnet50",
    ":interpolate, :interpolate#2 align_corners False → True (2 of 3 interpolate)  [behaviour]",
)
def corners_aligned(model):
    def aligned(self, x):
        features = self.backbone(x)
        size = x.shape[-2:]
        return {
            name: F.interpolate(head(features[key]), size=size, mode="bilinear", align_corners=True)
            for name, key, head in (("out", "out", self.classifier), ("aux", "aux", self.aux_classifier))
        }

    forward(model, aligned)


@mutation(
    "resnet18",
    "avgpool class AdaptiveAvgPool2d → AdaptiveMaxPool2d  [behaviour]",
)
def average_became_maximum(model):
    model.avgpool = nn.AdaptiveMaxPool2d((1, 1))


@mutation(
    "densenet121",
    "features.transition1.pool count_include_pad True → False  [behaviour]",
)
def count_include_pad(model):
    model.features.transition1.pool.count_include_pad = False


# -- training ----------------------------------------------------------------------------------------


@mutation(
    "alexnet",
    "classifier.0 p 0.5 → 0.2  [training]",
)
def dropout_rate(model):  # transformers 18137
    model.classifier[0].p = 0.2


@mutation(
    "convnext_tiny",
    "features.7.2.stochastic_depth p 0.1 → 0.5  [training]",
)
def stochastic_depth(model):  # transformers 18137
    model.features[7][2].stochastic_depth.p = 0.5


@mutation(
    "bert",
    "in 3 of 3 encoder.layer.*: output.dropout p 0.1 → 0.0  [training]",
)
def dropout_of_bert(model):
    for layer in model.encoder.layer:
        layer.output.dropout.p = 0.0


@mutation(
    "resnet18",
    "conv1.weight, bn1.weight, … layer4.1.bn2.bias requires_grad trainable → frozen (60 of 62 param)  [training]",
)
def frozen_by_mistake(model):  # vision 3394, 3905, 5443
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("fc."))


@mutation(
    "resnet18",
    "fc.bias requires_grad trainable → frozen  [training]",
)
def one_bias_frozen(model):
    model.fc.bias.requires_grad_(False)


@mutation(
    "gpt2",
    "lm_head.weight tied to transformer.wte.weight → its own  [training]",
)
def untied(model):  # transformers 43429
    model.lm_head.weight = nn.Parameter(torch.empty_like(model.lm_head.weight))


@mutation(
    "t5",
    "decoder.embed_tokens.weight tied to shared.weight → its own  [training]",
)
def shared_weights_became_copies(model):  # transformers 48154
    model.decoder.embed_tokens.weight = nn.Parameter(torch.empty_like(model.shared.weight))


@mutation(
    "resnet18",
    "layer4.1.bn2 momentum 0.1 → 0.01  [training]",
)
def momentum_of_one_norm(model):
    model.layer4[1].bn2.momentum = 0.01


@mutation(
    "vgg11_bn",
    "classifier.0 call absent → Dropout  [breaking]",
)
def dropout_inserted(model):
    model.classifier = nn.Sequential(nn.Dropout(0.5), *model.classifier)


# -- state, names and types --------------------------------------------------------------------------


@mutation(
    "resnet18",
    "fc renamed to head  [breaking]",
)
def layer_renamed(model):
    model.head = model.fc
    del model.fc

    def renamed(self, x):
        x = self.layer4(
            self.layer3(self.layer2(self.layer1(self.maxpool(self.relu(self.bn1(self.conv1(x)))))))
        )
        return self.head(torch.flatten(self.avgpool(x), 1))

    forward(model, renamed)


@mutation(
    "vit_b_16",
    "encoder.layers.encoder_layer_{0-11}.ln_1 renamed to encoder.layers.encoder_layer_{0-11}.norm_1  [breaking]",
)
def layers_of_all_blocks_renamed(model):  # torchvision's ViT renamed its MLPs
    def renamed(self, x):
        y, _ = self.self_attention(*[self.norm_1(x)] * 3, need_weights=False)
        x = self.dropout(y) + x
        return x + self.mlp(self.ln_2(x))

    for block in model.encoder.layers:
        block.norm_1 = block.ln_1
        del block.ln_1
        forward(block, renamed)


class Wrapped(nn.Module):
    """Something around a model."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, *args, **kwargs):
        return self.module(*args, **kwargs)


@mutation(
    "resnet18",
    "the model prefix of all names none → module.  [breaking]",
)
def wrapped(model):
    return Wrapped(model)


@mutation(
    "resnet18",
    "the model prefix of all names none → module.  [breaking]",
    "module.layer2.0.conv1 stride (2, 2) → (1, 1)  [behaviour]",
    "module.layer2.0.conv2 stride (1, 1) → (2, 2)  [behaviour]",
)
def wrapped_and_changed(model):
    model.layer2[0].conv1.stride, model.layer2[0].conv2.stride = (1, 1), (2, 2)
    return Wrapped(model)


@mutation(
    "resnet18",
    "in 62 of 62 param: dtype float32 → float16  [breaking]",
    "bn1.running_mean, bn1.running_var, … layer4.1.bn2.running_var dtype float32 → float16 (40 of 60 buffer)  [breaking]",
    "in:x tensor [1,3,224,224] → float16[1,3,224,224]  [behaviour]",
)
def half_precision(model):
    return model.half()


@mutation(
    "resnet18",
    "bn1.running_mean state dict saved → not saved  [breaking]",
)
def buffer_not_saved(model):
    model.bn1.register_buffer("running_mean", model.bn1.running_mean, persistent=False)


@mutation(
    "vit_b_16",
    "encoder.pos_embedding kind param → buffer  [training]",
)
def parameter_became_a_buffer(model):
    positions = model.encoder.pos_embedding.detach()
    del model.encoder.pos_embedding
    model.encoder.register_buffer("pos_embedding", positions)


@mutation(
    "resnet18",
    "fc class Linear → torch.nn.utils.parametrize.ParametrizedLinear  [breaking]",
)
def weight_norm(model):
    model.fc = nn.utils.parametrizations.weight_norm(nn.Linear(512, 1000, device="meta"))


@mutation(
    "resnet18",
    "layer1.1.conv2 call absent → Conv2d  [cost]",
)
def computed_and_dropped(model):
    def wasteful(self, x):
        self.conv2(x)
        return type(self).forward(self, x)

    forward(model.layer1[1], wasteful)


assert {entry.subject for entry in MUTATIONS} <= SUBJECTS.keys()
