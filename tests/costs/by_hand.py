"""MACs of published architectures in closed form, from the tables of their papers, and of small cases by hand.

Nothing here looks at a model: every figure follows from widths, strides and sizes as published.
"""

from __future__ import annotations


def conv(size: int, taken: int, made: int, window: int = 3, groups: int = 1) -> int:
    """A square convolution with a square output of ``size``."""
    return size * size * made * (taken // groups) * window * window


def alexnet() -> int:
    """The one-tower variant (Krizhevsky 2014), 224 × 224, pooled to 6 × 6."""
    features = (
        conv(55, 3, 64, 11)
        + conv(27, 64, 192, 5)
        + conv(13, 192, 384)
        + conv(13, 384, 256)
        + conv(13, 256, 256)
    )
    return features + 256 * 36 * 4096 + 4096 * 4096 + 4096 * 1000


def vgg(per_stage: tuple[int, ...]) -> int:
    """Simonyan and Zisserman 2014, table 1: stages of 64, 128, 256, 512, 512 channels at 224 … 14."""
    total, taken, size = 0, 3, 224
    for number, made in zip(per_stage, (64, 128, 256, 512, 512), strict=True):
        for _ in range(number):
            total += conv(size, taken, made)
            taken = made
        size //= 2
    return total + 512 * 49 * 4096 + 4096 * 4096 + 4096 * 1000


def resnet(blocks: tuple[int, ...], *, bottleneck: bool, groups: int = 1, base: int = 64) -> int:
    """He et al. 2015, table 1, with the stride on the 3 × 3; ResNeXt and wide nets by groups and base width."""
    total, taken, size = conv(112, 3, 64, 7), 64, 56
    for stage, number in enumerate(blocks):
        width = 64 * 2**stage
        for block in range(number):
            before = size
            if stage and not block:
                size //= 2
            if bottleneck:
                inner, made = width * base // 64 * groups, 4 * width
                total += (
                    conv(before, taken, inner, 1)
                    + conv(size, inner, inner, 3, groups)
                    + conv(size, inner, made, 1)
                )
            else:
                made = width
                total += conv(size, taken, made) + conv(size, made, made)
            if taken != made:
                total += conv(size, taken, made, 1)
            taken = made
    return total + taken * 1000


def densenet(blocks: tuple[int, ...], growth: int = 32, stem: int = 64) -> int:
    """Huang et al. 2016, table 1: bottlenecks of four times the growth, transitions that halve."""
    total, taken, size = conv(112, 3, stem, 7), stem, 56
    for stage, number in enumerate(blocks):
        for _ in range(number):
            total += conv(size, taken, 4 * growth, 1) + conv(size, 4 * growth, growth)
            taken += growth
        if stage < len(blocks) - 1:
            total += conv(size, taken, taken // 2, 1)
            taken //= 2
            size //= 2
    return total + taken * 1000


def squeezenet() -> int:
    """Iandola et al. 2016, version 1.1: pooling after the stem and fires 3 and 5."""
    total, taken = conv(111, 3, 64), 64
    for size, squeezed, expanded in (
        *((55, 16, 64),) * 2,
        *((27, 32, 128),) * 2,
        *((13, 48, 192),) * 2,
        *((13, 64, 256),) * 2,
    ):
        total += (
            conv(size, taken, squeezed, 1)
            + conv(size, squeezed, expanded, 1)
            + conv(size, squeezed, expanded)
        )
        taken = 2 * expanded
    return total + conv(13, 512, 1000, 1)


def mobilenet_v2() -> int:
    """Sandler et al. 2018, table 2: expansion, channels, repeats, stride."""
    total, taken, size = conv(112, 3, 32), 32, 112
    for factor, made, repeats, stride in (
        (1, 16, 1, 1),
        (6, 24, 2, 2),
        (6, 32, 3, 2),
        (6, 64, 4, 2),
        (6, 96, 3, 1),
        (6, 160, 3, 2),
        (6, 320, 1, 1),
    ):
        for repeat in range(repeats):
            inner, before = factor * taken, size
            size = size // stride if repeat == 0 else size
            total += conv(before, taken, inner, 1) if factor > 1 else 0
            total += conv(size, inner, inner, 3, inner) + conv(size, inner, made, 1)
            taken = made
    return total + conv(7, 320, 1280, 1) + 1280 * 1000


def transformer_layer(tokens: int, width: int, hidden: int) -> int:
    """Projections of queries, keys, values and output; scores and weighted values; two linear layers."""
    return 4 * tokens * width**2 + 2 * tokens**2 * width + 2 * tokens * width * hidden


def vit(patch: int, width: int, layers: int, hidden: int) -> int:
    """Dosovitskiy et al. 2020, table 1, at 224 × 224 with a class token."""
    patches = (224 // patch) ** 2
    return (
        patches * width * 3 * patch**2 + layers * transformer_layer(patches + 1, width, hidden) + width * 1000
    )


def swin(width: int, layers: tuple[int, ...]) -> int:
    """Liu et al. 2021, table 7: patches of 4 × 4, merged two by two, in windows of 7 × 7, which tile every stage."""
    size = 56
    total = conv(size, 3, width, 4)
    for stage, number in enumerate(layers):
        tokens, windows = size * size, (size // 7) ** 2
        attention = 4 * tokens * width**2 + windows * 2 * 49**2 * width
        total += number * (attention + 2 * tokens * width * 4 * width)
        if stage < len(layers) - 1:
            size //= 2
            total += size * size * 4 * width * 2 * width
            width *= 2
    return total + width * 1000


def convnext(width: int, layers: tuple[int, ...]) -> int:
    """Liu et al. 2022: depth-wise 7 × 7, two linear layers of four times the width, 2 × 2 downsampling."""
    size = 56
    total = conv(size, 3, width, 4)
    for stage, number in enumerate(layers):
        total += number * (conv(size, width, width, 7, width) + 2 * size * size * width * 4 * width)
        if stage < len(layers) - 1:
            size //= 2
            total += conv(size, width, 2 * width, 2)
            width *= 2
    return total + width * 1000


MODELS: dict[str, int] = {
    "alexnet": alexnet(),
    "vgg11": vgg((1, 1, 2, 2, 2)),
    "vgg16": vgg((2, 2, 3, 3, 3)),
    "vgg19": vgg((2, 2, 4, 4, 4)),
    "resnet18": resnet((2, 2, 2, 2), bottleneck=False),
    "resnet34": resnet((3, 4, 6, 3), bottleneck=False),
    "resnet50": resnet((3, 4, 6, 3), bottleneck=True),
    "resnet101": resnet((3, 4, 23, 3), bottleneck=True),
    "resnet152": resnet((3, 8, 36, 3), bottleneck=True),
    "resnext50_32x4d": resnet((3, 4, 6, 3), bottleneck=True, groups=32, base=4),
    "wide_resnet50_2": resnet((3, 4, 6, 3), bottleneck=True, base=128),
    "densenet121": densenet((6, 12, 24, 16)),
    "densenet169": densenet((6, 12, 32, 32)),
    "densenet201": densenet((6, 12, 48, 32)),
    "squeezenet1_1": squeezenet(),
    "mobilenet_v2": mobilenet_v2(),
    "vit_b_16": vit(16, 768, 12, 3072),
    "vit_l_16": vit(16, 1024, 24, 4096),
    "swin_t": swin(96, (2, 2, 6, 2)),
    "convnext_tiny": convnext(96, (3, 3, 9, 3)),
}
"""torchvision's name and the MACs of one image of 224 × 224."""
