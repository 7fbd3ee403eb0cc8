"""How long a recording takes, beside the bare forward of the same model on meta, and beside what others take.

``python bench/record.py [model …]``. The forward is that of the model built on meta, in eval mode without gradients;
the recording is ``trace(model, inputs, device="meta")`` of the model built on cpu, with everything in the record.
Each peer runs where it is fastest of what it supports (found on a ResNet-18, first line). All run in turn;
figures are medians of ratios of pairs. TorchLens wraps torch's functions for the rest of the process and runs last,
beside bare forwards that were timed before it was imported.
"""

from __future__ import annotations

import logging
import statistics
import sys
import warnings
from collections.abc import Callable
from typing import Any

import torch
import torchvision
from measure import paired, ratio, seconds, table, versions
from torch import nn

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
ROUNDS = 9
PEER_ROUNDS = 3
Peer = Callable[[nn.Module, str], object]


def image(device: str) -> torch.Tensor:
    """Give one image."""
    return torch.zeros(IMAGE, device=device)


def torchinfo(model: nn.Module, device: str) -> object:
    """Run ``torchinfo.summary``."""
    import torchinfo

    return torchinfo.summary(model, input_data=image(device), device=device, verbose=0).total_mult_adds


def fvcore(model: nn.Module, device: str) -> object:
    """Count with fvcore, which traces with TorchScript."""
    from fvcore.nn import FlopCountAnalysis

    analysis = FlopCountAnalysis(model, image(device))
    return analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).total()


def ptflops(model: nn.Module, device: str) -> object:
    """Count with ptflops' hooks."""
    import ptflops

    return ptflops.get_model_complexity_info(
        model, IMAGE[1:], False, False, backend="pytorch", input_constructor=lambda _: image(device)
    )[0]


def flop_counter(model: nn.Module, device: str) -> object:
    """Count with torch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.no_grad(), counter:
        model(image(device))
    return counter.get_total_flops()


def torchview(model: nn.Module, device: str) -> object:
    """Trace the graph with torchview, which draws nothing here."""
    import torchview

    return torchview.draw_graph(model, input_data=image(device), device=device).edge_list


def torchlens(model: nn.Module, device: str) -> object:
    """Trace with TorchLens, no activation kept."""
    import torchlens

    return torchlens.trace(model, image(device), save=lambda context: False)


PEERS: dict[str, Peer] = {
    "torchinfo": torchinfo,
    "fvcore": fvcore,
    "ptflops": ptflops,
    "FlopCounterMode": flop_counter,
    "torchview": torchview,
}
LAST: dict[str, Peer] = {"TorchLens": torchlens}


def build(name: str, device: str) -> nn.Module:
    """Build a model in eval mode."""
    with torch.device(device):
        return torchvision.models.get_model(name, weights=None).eval()


def fastest_placement(peer: Peer) -> str:
    """Give where a peer is fastest on a ResNet-18, of where it works; it must find something."""
    times: dict[str, float] = {}
    for device in ("meta", "cpu"):
        model = build("resnet18", device)
        try:
            assert peer(model, device)
            times[device] = min(
                seconds(lambda model=model, device=device: peer(model, device)) for _ in range(3)
            )
        except Exception as error:
            print(f"  not on {device}: {type(error).__name__}", file=sys.stderr)
    return min(times, key=times.__getitem__)


def run_of(peer: Peer, name: str, device: str) -> Callable[[], object]:
    """Give one run of a peer on a model."""
    model = build(name, device)
    return lambda: peer(model, device)


def cell(base: list[float], run: list[float]) -> str:
    """Give a ratio with two digits after the point."""
    return f"{ratio(base, run):.2f}"


def measure(
    name: str, places: dict[str, str]
) -> tuple[float, list[float], dict[str, float], Callable[[], None]]:
    """Give the ratio of a recording, the times of the bare forward, the ratios of the peers, and the forward."""
    on_cpu, on_meta, x = build(name, "cpu"), build(name, "meta"), image("meta")

    def forward() -> None:
        with torch.no_grad():
            on_meta(x)

    bare, recorded = paired(forward, lambda: trace(on_cpu, IMAGE, device="meta"), rounds=ROUNDS)
    others = {}
    for peer, place in places.items():
        base, run = paired(forward, run_of(PEERS[peer], name, place), rounds=PEER_ROUNDS)
        others[peer] = ratio(base, run)
    return ratio(bare, recorded), bare, others, forward


def main(names: list[str]) -> None:
    """Print the section of bench/RESULTS.md."""
    warnings.simplefilter("ignore")
    logging.disable(logging.ERROR)
    places = {name: fastest_placement(peer) for name, peer in PEERS.items()}
    found = {name: measure(name, places) for name in names}
    last = {name: fastest_placement(peer) for name, peer in LAST.items()}
    for peer, place in last.items():
        for name in names:
            run = run_of(LAST[peer], name, place)
            run()
            times = [seconds(run) for _ in range(PEER_ROUNDS)]
            found[name][2][peer] = statistics.median(times) / statistics.median(found[name][1])
    peers = {**places, **last}
    print(versions("torch", "torchvision", "torchinfo", "fvcore", "ptflops", "torchview", "torchlens"))
    print()
    rows: list[list[Any]] = []
    for name, (own, bare, others, _) in found.items():
        rows.append([name, f"{1000 * statistics.median(bare):.0f} ms", f"**{own:.2f}**"])
        rows[-1] += [f"{others[peer]:.2f}" for peer in peers]
    means = [statistics.geometric_mean(row[0] for row in found.values())]
    means += [statistics.geometric_mean(row[2][peer] for row in found.values()) for peer in peers]
    rows.append(["geometric mean", "", f"**{means[0]:.2f}**", *(f"{mean:.2f}" for mean in means[1:])])
    head = ["time / bare forward on meta", "forward", "archcheck, meta"]
    print(table([*head, *(f"{peer}, {place}" for peer, place in peers.items())], rows))


if __name__ == "__main__":
    main(sys.argv[1:] or list(MODELS))
