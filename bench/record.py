"""How long a recording takes, as a share of the bare forward of the same model on meta, both in one run.

``python bench/record.py [model …]`` prints medians of paired runs. The forward is that of the model built on meta, in
eval mode without gradients; the recording is ``trace(model, inputs, device="meta")`` of the model built on cpu, with
everything in the record. Processor time is measured, so that a busy machine disturbs less.
"""

import statistics
import sys
import time
from collections.abc import Callable

import torch
import torchvision

from pytest_archcheck import trace

MODELS = (
    "resnet18",
    "resnet50",
    "resnet152",
    "densenet201",
    "vit_l_16",
    "efficientnet_b7",
    "swin_b",
    "convnext_large",
)
IMAGE = (1, 3, 224, 224)
ROUNDS = 7


def seconds(run: Callable[[], object]) -> float:
    """Give the processor time of one run."""
    start = time.process_time()
    run()
    return time.process_time() - start


def measure(name: str) -> float:
    """Print one model's line and give the ratio."""
    model = torchvision.models.get_model(name, weights=None).eval()
    with torch.device("meta"):
        bare = torchvision.models.get_model(name, weights=None).eval()
        image = torch.empty(IMAGE)

    def forward() -> None:
        with torch.no_grad():
            bare(image)

    def record() -> None:
        trace(model, IMAGE, device="meta")

    forward(), record()
    pairs = [(seconds(forward), seconds(record)) for _ in range(ROUNDS)]
    ratio = statistics.median(recorded / bare for bare, recorded in pairs)
    alone = statistics.median(bare for bare, _ in pairs)
    print(f"{name:18} forward {1000 * alone:6.1f} ms   recording / forward {ratio:.2f}")
    return ratio


if __name__ == "__main__":
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}, {ROUNDS} paired rounds")
    ratios = [measure(name) for name in sys.argv[1:] or MODELS]
    print(f"{'geometric mean':18} {'':20} {statistics.geometric_mean(ratios):.2f}")
