"""What a tool leaves behind on the model that it was asked about, and in torch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
import torchlens
import torchview
import torchvision
from neighbours import COUNTERS, quiet
from torch import nn

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class Failing(nn.Module):
    """A model whose forward raises in its second layer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.bn, self.fc = nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Linear(7, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Give a linear layer what it does not take."""
        return self.fc(self.bn(self.conv(x)))


def state_of(model: nn.Module) -> dict[str, dict[str, Any]]:
    """Whatever a tool may change, each under what it is."""
    modules = dict(model.named_modules())
    return {
        "state-dict keys": dict.fromkeys(model.state_dict()),
        "values": {key: _digest(value) for key, value in model.state_dict().items()},
        "training flags": {name: module.training for name, module in modules.items()},
        "hooks": {
            f"{name} {kind}": len(getattr(module, kind)) for name, module in modules.items() for kind in HOOKS
        },
        "attributes": {
            f"{name}.{key}": id(value) if key == "forward" else None
            for name, module in modules.items()
            for key, value in vars(module).items()
        },
        "gradients": {name: p.grad is None for name, p in model.named_parameters()},
        "devices": {name: str(p.device) for name, p in model.named_parameters()},
    }


def _digest(tensor: torch.Tensor) -> str:
    return hashlib.sha256(tensor.detach().cpu().numpy().tobytes()).hexdigest()


def torch_of() -> dict[str, int]:
    """Every function of torch that tools replace, by identity."""
    spaces = {"torch": torch, "torch.Tensor": torch.Tensor, "functional": F, "Module": nn.Module}
    return {
        f"{name}.{key}": id(value)
        for name, space in spaces.items()
        for key, value in vars(space).items()
        if callable(value)
    }


def changed(before: dict[str, Any], after: dict[str, Any]) -> int:
    """How many entries came, went, or are others."""
    return sum(before.get(key, before) != after.get(key, after) for key in {*before, *after})


def told(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], functions: int) -> str:
    """What differs, by kind; a key that came is no value that changed."""
    common = {key: value for key, value in after["values"].items() if key in before["values"]}
    counts = {
        "state-dict keys added": changed(before["state-dict keys"], after["state-dict keys"]),
        "tensors written": changed(before["values"], common),
        "training flags": changed(before["training flags"], after["training flags"]),
        "hooks left": changed(before["hooks"], after["hooks"]),
        "attributes": changed(before["attributes"], after["attributes"]),
        "gradients": changed(before["gradients"], after["gradients"]),
        "moved": changed(before["devices"], after["devices"]),
        "functions of torch": functions,
    }
    return ", ".join(f"{number} {kind}" for kind, number in counts.items() if number) or "–"


def left(tool: str, build: Callable[[], nn.Module], *, train: bool) -> str:
    """What a tool leaves on a model that it runs once, in words."""
    torch.manual_seed(0)
    model, x = build().train(train), torch.randn(2, 3, 64, 64)
    before, functions = state_of(model), torch_of()
    failed = False
    with quiet():
        try:
            TOOLS[tool](model, x)
        except Exception:
            failed = True
    assert failed == (build is Failing), (tool, build)
    return told(before, state_of(model), changed(functions, torch_of()))


def by_counter(name: str) -> Callable[[nn.Module, torch.Tensor], object]:
    """A counter on one input."""
    return lambda model, x: COUNTERS[name](model, (x,), {})


TOOLS: dict[str, Callable[[nn.Module, torch.Tensor], object]] = {
    **{name: by_counter(name) for name in COUNTERS},
    "torchview": lambda model, x: torchview.draw_graph(model, input_data=x, device="cpu"),
    "TorchLens": torchlens.trace,
}
"""TorchLens last: it wraps torch's functions for the rest of the process."""


def rows() -> list[list[str]]:
    """What each leaves on a ResNet-18 in training, in evaluation, and on a model that fails."""
    resnet = torchvision.models.resnet18
    cases = [(resnet, True), (resnet, False), (Failing, False)]
    return [[tool, *(left(tool, build, train=train) for build, train in cases)] for tool in TOOLS]


if __name__ == "__main__":
    for row in rows():
        print(row)
