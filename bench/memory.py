"""How much memory a recording on cpu needs beside the bare forward, each in a process of its own.

``python bench/memory.py [model …]`` builds a model on cpu, resets the kernel's high-water mark and runs one forward,
bare or recorded, of eight images. Reported are the peaks of the whole process and what each took above the built model.
Needs Linux.
"""

import os
import subprocess
import sys
from pathlib import Path

from measure import table, versions

MODELS = ("resnet50", "densenet121", "efficientnet_b0", "swin_t", "vit_b_16", "vgg16")
IMAGES = (8, 3, 224, 224)
MIB = 2**20
RUNS = 3
# What is freed goes back to the system at once; otherwise the peak is the allocator's, and differs by a third.
ENVIRONMENT = {**os.environ, "MALLOC_TRIM_THRESHOLD_": "0", "MALLOC_MMAP_THRESHOLD_": "65536"}


def memory(field: str) -> int:
    """Give one of the process's sizes in bytes, ``VmRSS`` or ``VmHWM``."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024
    raise SystemExit("this benchmark needs Linux")


def child(name: str, how: str) -> None:
    """Run one forward and print the memory before it, at its peak, and the bytes of the buffers."""
    import torch
    import torchvision

    from pytest_archcheck import trace

    torch.set_num_threads(1)
    model = torchvision.models.get_model(name, weights=None).eval()
    images = torch.zeros(IMAGES)
    with torch.no_grad():
        model(images[:1])  # kernels are loaded, caches are warm, and so is the recorder
    trace(torch.nn.Linear(4, 4), (1, 4), device="cpu")
    Path("/proc/self/clear_refs").write_text("5")
    before = memory("VmRSS")
    if how == "bare":
        with torch.no_grad():
            model(images)
    else:
        trace(model, images, device="cpu")
    print(before, memory("VmHWM"), sum(buffer.nbytes for buffer in model.buffers()))


def measure(name: str, how: str) -> tuple[int, int, int]:
    """Give memory before, peak and buffers of the median process, in bytes."""
    command = [sys.executable, __file__, "--child", name, how]
    runs = []
    for _ in range(RUNS):
        output = subprocess.run(command, check=True, capture_output=True, text=True, env=ENVIRONMENT).stdout
        runs.append(tuple(map(int, output.split())))
    return sorted(runs, key=lambda run: run[1] - run[0])[RUNS // 2]


def main(names: list[str]) -> None:
    """Print a line for each model."""
    rows = []
    for name in names:
        bare_before, bare, buffers = measure(name, "bare")
        recorded_before, recorded, _ = measure(name, "recorded")
        above, above_recorded = bare - bare_before, recorded - recorded_before
        mib = [size / MIB for size in (bare, recorded, above, above_recorded, buffers)]
        rows.append([name, *(f"{size:.0f}" for size in mib)])
        rows[-1] += [f"{recorded / bare:.2f}", f"{above_recorded / above:.2f}"]
    print(versions("torch", "torchvision"))
    print()
    head = [
        "MiB at the peak",
        "bare",
        "recorded",
        "above the model: bare",
        "recorded",
        "buffers",
        "whole ratio",
    ]
    print(table([*head, "ratio above"], rows))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(*sys.argv[2:4])
    else:
        main(sys.argv[1:] or list(MODELS))
