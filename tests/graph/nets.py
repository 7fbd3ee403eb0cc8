"""Small nets rebuilt from their papers."""

import torch
from torch import nn


def conv(inputs, outputs, kernel, stride=1, groups=1, active=nn.ReLU):
    """A convolution that keeps the size, a batch norm and, unless it is none, an activation."""
    layers = [
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False),
        nn.BatchNorm2d(outputs),
    ]
    return nn.Sequential(*layers, *([active()] if active else []))


def head(inputs, classes=1000):
    """Global average pooling and a classifier."""
    return nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, classes))


class Subsampling(nn.Module):
    """LeNet's pooling: a mean with a trainable coefficient and bias for each map."""

    def __init__(self, maps):
        super().__init__()
        self.coefficient = nn.Parameter(torch.ones(maps, 1, 1))
        self.bias = nn.Parameter(torch.zeros(maps, 1, 1))

    def forward(self, x):
        return torch.tanh(nn.functional.avg_pool2d(x, 2) * self.coefficient + self.bias)


def lenet5():
    """LeNet-5 for 32×32 digits (LeCun et al. 1998), with C3 fully connected and a linear output layer."""
    return nn.Sequential(
        *(nn.Conv2d(1, 6, 5), nn.Tanh(), Subsampling(6)),
        *(nn.Conv2d(6, 16, 5), nn.Tanh(), Subsampling(16)),
        *(nn.Conv2d(16, 120, 5), nn.Tanh(), nn.Flatten()),
        *(nn.Linear(120, 84), nn.Tanh(), nn.Linear(84, 10)),
    )


def darknet19():
    """DarkNet-19, arXiv 1612.08242: runs of 3×3 and 1×1 convolutions in turn, with pooling in between."""
    layers, inputs = [], 3
    for width, length in ((32, 1), (64, 1), (128, 3), (256, 3), (512, 5), (1024, 5)):
        layers += [nn.MaxPool2d(2)] if layers else []
        for index in range(length):
            kernel, outputs = (1, width // 2) if index % 2 else (3, width)
            layers.append(conv(inputs, outputs, kernel, active=nn.LeakyReLU))
            inputs = outputs
    return nn.Sequential(*layers, nn.Conv2d(1024, 1000, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten())


class DarkBlock(nn.Module):
    """Residual block of DarkNet-53, arXiv 1804.02767."""

    def __init__(self, width):
        super().__init__()
        self.reduce = conv(width, width // 2, 1, active=nn.LeakyReLU)
        self.expand = conv(width // 2, width, 3, active=nn.LeakyReLU)

    def forward(self, x):
        return x + self.expand(self.reduce(x))


def darknet53():
    """DarkNet-53, arXiv 1804.02767."""
    layers = [conv(3, 32, 3, active=nn.LeakyReLU)]
    for width, blocks in zip((64, 128, 256, 512, 1024), (1, 2, 8, 8, 4), strict=True):
        layers.append(conv(width // 2, width, 3, 2, active=nn.LeakyReLU))
        layers += [DarkBlock(width) for _ in range(blocks)]
    return nn.Sequential(*layers, head(1024))


def mobilenet():
    """MobileNet v1, arXiv 1704.04861: depthwise and pointwise convolutions in turn."""
    layers, inputs = [conv(3, 32, 3, 2)], 32
    for width in (64, 128, 128, 256, 256, 512, 512, 512, 512, 512, 512, 1024, 1024):
        stride = 2 if width > inputs > 32 else 1
        layers += [conv(inputs, inputs, 3, stride, groups=inputs), conv(inputs, width, 1)]
        inputs = width
    return nn.Sequential(*layers, head(1024))


class ShuffleUnit(nn.Module):
    """Unit of ShuffleNet v1, arXiv 1707.01083; with stride 2 it concatenates where the others add."""

    def __init__(self, inputs, outputs, stride, groups, first_groups):
        super().__init__()
        self.groups = groups
        added = outputs - inputs if stride == 2 else outputs
        width = outputs // 4
        self.reduce = conv(inputs, width, 1, groups=first_groups)
        self.depthwise = conv(width, width, 3, stride, groups=width, active=None)
        self.expand = conv(width, added, 1, groups=groups, active=None)
        self.pool = nn.AvgPool2d(3, 2, 1) if stride == 2 else None

    def forward(self, x):
        shuffled = self.reduce(x).unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)
        out = self.expand(self.depthwise(shuffled))
        return torch.relu(x + out if self.pool is None else torch.cat([self.pool(x), out], 1))


def shufflenet(groups=4, widths=(272, 544, 1088)):
    """ShuffleNet v1, arXiv 1707.01083; its first pointwise convolution has no groups."""
    layers, inputs = [conv(3, 24, 3, 2), nn.MaxPool2d(3, 2, 1)], 24
    for width, units in zip(widths, (4, 8, 4), strict=True):
        for index in range(units):
            first_groups = 1 if inputs == 24 else groups
            layers.append(ShuffleUnit(inputs, width, 1 if index else 2, groups, first_groups))
            inputs = width
    return nn.Sequential(*layers, head(inputs))


class WideBlock(nn.Module):
    """Pre-activation block of Wide ResNet, arXiv 1605.07146."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.bn1 = nn.BatchNorm2d(inputs)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.project = nn.Conv2d(inputs, outputs, 1, stride, bias=False) if inputs != outputs else None

    def forward(self, x):
        active = torch.relu(self.bn1(x))
        out = self.conv2(torch.relu(self.bn2(self.conv1(active))))
        return out + (x if self.project is None else self.project(active))


def wide_resnet(depth, factor):
    """WRN-depth-factor for 32×32 images."""
    blocks = (depth - 4) // 6
    layers = [nn.Conv2d(3, 16, 3, 1, 1, bias=False)]
    inputs = 16
    for stage, width in enumerate((16, 32, 64)):
        for index in range(blocks):
            stride = 2 if stage and index == 0 else 1
            layers.append(WideBlock(inputs, width * factor, stride))
            inputs = width * factor
    return nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(), head(inputs, 10))


class Squeeze(nn.Module):
    """Squeeze-and-excitation, arXiv 1709.01507: scales the channels by what all positions say."""

    def __init__(self, channels):
        super().__init__()
        self.squeeze = nn.Linear(channels, channels // 16)
        self.excite = nn.Linear(channels // 16, channels)

    def forward(self, x):
        gate = torch.sigmoid(self.excite(torch.relu(self.squeeze(x.mean((2, 3))))))
        return x * gate[:, :, None, None]


class Bottleneck(nn.Module):
    """ResNet's block, arXiv 1512.03385; a projection may follow a pooling, the body may end in a gate."""

    def __init__(self, inputs, width, stride, *, pooled=False, gated=False):
        super().__init__()
        self.body = nn.Sequential(
            conv(inputs, width, 1), conv(width, width, 3, stride), conv(width, 4 * width, 1, active=None)
        )
        self.gate = Squeeze(4 * width) if gated else nn.Identity()
        self.shortcut = nn.Identity()
        if inputs != 4 * width and pooled:
            pool = nn.AvgPool2d(stride, stride)
            self.shortcut = nn.Sequential(pool, conv(inputs, 4 * width, 1, active=None))
        elif inputs != 4 * width:
            self.shortcut = conv(inputs, 4 * width, 1, stride, active=None)

    def forward(self, x):
        return torch.relu(self.shortcut(x) + self.gate(self.body(x)))


def _resnet50(stem, **options):
    layers, inputs = [*stem, nn.MaxPool2d(3, 2, 1)], 64
    for width, blocks in zip((64, 128, 256, 512), (3, 4, 6, 3), strict=True):
        for index in range(blocks):
            stride = 1 if index or width == 64 else 2
            layers.append(Bottleneck(inputs, width, stride, **options))
            inputs = 4 * width
    return nn.Sequential(*layers, head(inputs))


def resnet50d():
    """ResNet-50-D, arXiv 1812.01187: three 3×3 convolutions for the 7×7 one, projections after a pooling."""
    return _resnet50([conv(3, 32, 3, 2), conv(32, 32, 3), conv(32, 64, 3)], pooled=True)


def se_resnet50():
    """SE-ResNet-50, arXiv 1709.01507."""
    return _resnet50([conv(3, 64, 7, 2)], gated=True)


class DualPathBlock(nn.Module):
    """Block of DPN, arXiv 1707.01629: the first channels of its output are added, the others concatenated."""

    def __init__(self, inputs, width, added, grown, *, stride=1, projects=False):
        super().__init__()
        self.added = added
        self.reduce = self._conv(inputs, width, 1)
        self.grouped = self._conv(width, width, 3, stride, groups=32)
        self.expand = self._conv(width, added + grown, 1)
        self.project = self._conv(inputs, added + 2 * grown, 1, stride) if projects else nn.Identity()

    @staticmethod
    def _conv(inputs, outputs, kernel, stride=1, groups=1):
        convolution = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
        return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), convolution)

    def forward(self, x):
        old, new = self.project(x), self.expand(self.grouped(self.reduce(x)))
        total = old[:, : self.added] + new[:, : self.added]
        return torch.cat([total, old[:, self.added :], new[:, self.added :]], 1)


def dpn92():
    """DPN-92, arXiv 1707.01629."""
    layers, inputs = [conv(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
    stages = ((96, 256, 16, 3), (192, 512, 32, 4), (384, 1024, 24, 20), (768, 2048, 128, 3))
    for width, added, grown, blocks in stages:
        for index in range(blocks):
            stride = 1 if index or width == 96 else 2
            layers.append(DualPathBlock(inputs, width, added, grown, stride=stride, projects=index == 0))
            inputs = added + (index + 3) * grown
    return nn.Sequential(*layers, nn.BatchNorm2d(inputs), nn.ReLU(), head(inputs))
