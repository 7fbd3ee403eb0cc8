"""Train a classifier: ``python train.py --depth 56 --epochs 164``. Random images stand in for CIFAR-10 here."""

from __future__ import annotations

import argparse

import torch
from classifier import ResidualNet
from torch.nn.functional import cross_entropy


def build(depth: int = 20, width: int = 16, classes: int = 10, dropout: float = 0.0) -> ResidualNet:
    """The net that the options of this script describe.

    Raises:
        ValueError: the depth is not 6n + 2.
    """
    blocks, rest = divmod(depth - 2, 6)
    if rest or blocks < 1:
        raise ValueError(f"--depth {depth}: take one of 8, 14, 20, 26, … (6n + 2)")
    return ResidualNet(blocks, width, classes, dropout)


def main() -> None:
    options = argparse.ArgumentParser(description="Train a classifier of 32×32 images.")
    options.add_argument("--depth", type=int, default=20)
    options.add_argument("--width", type=int, default=16)
    options.add_argument("--dropout", type=float, default=0.0)
    options.add_argument("--epochs", type=int, default=1)
    chosen = options.parse_args()

    model = build(chosen.depth, chosen.width, dropout=chosen.dropout)
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9, weight_decay=1e-4)
    for epoch in range(chosen.epochs):
        images, labels = torch.randn(128, 3, 32, 32), torch.randint(10, (128,))
        loss = cross_entropy(model(images), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        print(f"epoch {epoch}: loss {loss.item():.3f}")


if __name__ == "__main__":
    main()
