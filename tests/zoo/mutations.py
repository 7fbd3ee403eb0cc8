"""Changes that somebody might make unawares, planted in the libraries of the zoo by an environment variable.

``ARCHCHECK_ZOO_MUTATION="moved_stride" pytest tests/zoo/test_architectures.py`` turns exactly the models red that
``red`` of the mutation names; ``nox -s mutations`` runs the zoo once for each and says so.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

VARIABLE = "ARCHCHECK_ZOO_MUTATION"
ROOT = Path(__file__).parents[2]


class Mutation(NamedTuple):
    """A planted change, the models that it changes, and what the first line of each failure has to hold."""

    plant: Callable[[], None]
    red: str
    cause: str

    @property
    def affected(self) -> set[str]:
        """The models that have to fail."""
        return set(self.red.split())


def lost_residual() -> None:
    """The basic block of torchvision's ResNet adds no shortcut."""
    from torchvision.models.resnet import BasicBlock

    def forward(self, x):
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        if self.downsample is not None:
            self.downsample(x)
        return self.relu(out)

    BasicBlock.forward = forward


def moved_stride() -> None:
    """The stride of torchvision's bottlenecks is on the 1 × 1 convolution, as in the paper."""
    from torchvision.models.resnet import Bottleneck

    build = Bottleneck.__init__

    def init(self, *args, **options):
        build(self, *args, **options)
        self.conv1.stride, self.conv2.stride = self.conv2.stride, self.conv1.stride

    Bottleneck.__init__ = init


def another_activation() -> None:
    """DenseNet's layers have GELU for their second ReLU."""
    from torch import nn
    from torchvision.models.densenet import _DenseLayer

    build = _DenseLayer.__init__

    def init(self, *args, **options):
        build(self, *args, **options)
        self.relu2 = nn.GELU()

    _DenseLayer.__init__ = init


def another_gate() -> None:
    """Timm's squeeze and excitation gates by a hard sigmoid."""
    from timm.layers.squeeze_excite import SEModule
    from torch import nn

    build = SEModule.__init__

    def init(self, *args, **options):
        build(self, *args, **options)
        self.gate = nn.Hardsigmoid()

    SEModule.__init__ = init


def untied_head() -> None:
    """GPT-2's head has weights of its own."""
    from transformers import GPT2Config

    build = GPT2Config.__init__

    def init(self, *args, **options):
        build(self, *args, **options, tie_word_embeddings=False)

    GPT2Config.__init__ = init


MUTATIONS = {
    "lost_residual": Mutation(lost_residual, "resnet18 resnet34", ":add call add → absent"),
    "moved_stride": Mutation(
        moved_stride,
        "resnet50 resnet101 resnet152 resnext50_32x4d resnext101_32x8d resnext101_64x4d wide_resnet50_2 "
        "wide_resnet101_2 fcn_resnet50 fcn_resnet101 deeplabv3_resnet50 deeplabv3_resnet101 fasterrcnn_resnet50_fpn "
        "fasterrcnn_resnet50_fpn_v2 fcos_resnet50_fpn keypointrcnn_resnet50_fpn maskrcnn_resnet50_fpn "
        "maskrcnn_resnet50_fpn_v2 retinanet_resnet50_fpn retinanet_resnet50_fpn_v2 quantized_resnet50 "
        "quantized_resnext101_32x8d quantized_resnext101_64x4d",
        "layer2.0.conv1 stride (1, 1) → (2, 2)",
    ),
    "another_activation": Mutation(
        another_activation, "densenet121 densenet161 densenet169 densenet201", "relu2 class ReLU → GELU"
    ),
    "another_gate": Mutation(
        another_gate,
        "seresnet50 seresnext26d_32x4d coatnet_0_224 maxvit_tiny_tf_224 nfnet_f0",
        "Sigmoid → Hardsigmoid",
    ),
    "untied_head": Mutation(untied_head, "GPT2LMHeadModel", "lm_head.weight"),
}


def failures_with(*mutations: str, options: tuple[str, ...] = ()) -> dict[str, str]:
    """Run the zoo with mutations planted; the first line of every failure, by the name of the model."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        command = [sys.executable, "-m", "pytest", "-q", f"--junitxml={report}", *options]
        run = subprocess.run(
            [*command, "tests/zoo/test_architectures.py"],
            cwd=ROOT,
            env={**os.environ, VARIABLE: " ".join(mutations)},
            capture_output=True,
            text=True,
            check=False,
        )
        if run.returncode not in (0, 1):
            raise RuntimeError(run.stdout + run.stderr)
        cases = list(ElementTree.parse(report).iter("testcase"))
    found = {str(case.get("name")): _failure(case) for case in cases}
    return {
        name.partition("[")[2].rstrip("]"): str(failure.get("message")).splitlines()[0]
        for name, failure in found.items()
        if failure is not None
        and name.partition("[")[0] in ("test_torchvision", "test_timm", "test_transformers")
    }


def _failure(case: ElementTree.Element) -> ElementTree.Element | None:
    """What went wrong with a test, in its call or in the recording before it."""
    failure = case.find("failure")
    return case.find("error") if failure is None else failure


def main() -> int:
    """Plant one mutation after the other in the whole zoo, and hold what fails to what should."""
    wrong = 0
    for name, mutation in MUTATIONS.items():
        red = failures_with(name, options=("-n", "2"))
        untold = [model for model, line in red.items() if mutation.cause not in line]
        wrong += red.keys() != mutation.affected or bool(untold)
        print(
            f"{name}: {len(red)} red, {len(mutation.affected)} expected, cause not told: {untold or 'none'}"
        )
        print(f"  {next(iter(red.values()), '')}", flush=True)
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
