"""Epochs per second of this course's training against the reference script: same model, batch size, machine and run.

    make bench        # about three minutes on two cores

The reference is the way most people write it, and that PyTorch's own example made known: a ``DataLoader`` over
torchvision's MNIST with ``ToTensor``, two heads, a sigmoid, summed binary cross-entropy, Adam, the loss read back at
every step. Epochs of the contestants are interleaved, so that a machine that slows down slows all of them down; medians
are quoted.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from vaelab.data import PROJECT, mnist
from vaelab.evaluation import evaluate
from vaelab.models import mlp_vae
from vaelab.training import fit


class Reference:
    """784-400-20, batch 128, Adam 1e-3, as the well-known script trains it."""

    class Model(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.hidden = nn.Linear(784, 400)
            self.mu, self.logvar = nn.Linear(400, 20), nn.Linear(400, 20)
            self.up, self.out = nn.Linear(20, 400), nn.Linear(400, 784)

        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
            h = F.relu(self.hidden(x.view(-1, 784)))
            mu, logvar = self.mu(h), self.logvar(h)
            z = mu + torch.randn_like(mu) * torch.exp(0.5 * logvar)
            return torch.sigmoid(self.out(F.relu(self.up(z)))), mu, logvar

    def __init__(self, root: str) -> None:
        transform = transforms.ToTensor()
        self.train, self.test = (
            DataLoader(datasets.MNIST(root, train=train, transform=transform), 128, shuffle=train)
            for train in (True, False)
        )
        torch.manual_seed(0)
        self.model = self.Model()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        probability, mu, logvar = self.model(x)
        bce = F.binary_cross_entropy(probability, x.view(-1, 784), reduction="sum")
        return bce - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    def epoch(self) -> float:
        start = time.perf_counter()
        self.model.train()
        total = 0.0
        for x, _ in self.train:
            self.optimizer.zero_grad()
            loss = self.loss(x)
            loss.backward()
            total += loss.item()
            self.optimizer.step()
        return time.perf_counter() - start

    @torch.no_grad()
    def test_loss(self) -> float:
        self.model.eval()
        return sum(self.loss(x).item() for x, _ in self.test) / len(self.test.dataset)


class Ours:
    """The same with vaelab: fit() continues its own checkpoint, one epoch at a time; only its epochs are timed."""

    def __init__(self, precision: str, folder: str) -> None:
        self.precision, self.path = precision, Path(folder, f"{precision}.pt")
        self.data = mnist(validation=0)
        torch.manual_seed(0)
        self.model, self.epochs = mlp_vae(), 0

    def epoch(self) -> float:
        self.epochs += 1
        torch.set_float32_matmul_precision(self.precision)
        history = fit(
            self.model,
            self.data.train,
            epochs=self.epochs,
            checkpoint=self.path,
            resume=True,
            progress=False,
        )
        torch.set_float32_matmul_precision("highest")
        return history[-1]["seconds"]

    def test_loss(self) -> float:
        return evaluate(self.model, self.data.test)["loss"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--epochs", type=int, default=10, help="epochs of each (default 10)")
    options = parser.parse_args()
    if mnist().name != "MNIST":
        raise SystemExit("bench: the comparison needs MNIST; set VAELAB_DATA to a folder that holds it")
    named = os.environ.get("VAELAB_DATA", "data")
    with tempfile.TemporaryDirectory() as folder:
        contestants = {
            "reference script": Reference(str(PROJECT / named)),
            "vaelab, fp32": Ours("highest", folder),
            "vaelab, as the page": Ours("medium", folder),
        }
        seconds: dict[str, list[float]] = {name: [] for name in contestants}
        for epoch in range(options.epochs):
            for name, contestant in contestants.items():
                seconds[name].append(contestant.epoch())
            print(f"epoch {epoch + 1} of {options.epochs}", flush=True)
        losses = {name: contestant.test_loss() for name, contestant in contestants.items()}
    first = next(iter(contestants))
    print(f"\n{torch.get_num_threads()} threads, median of {options.epochs} interleaved epochs each")
    print(f"{'':<22}{'s/epoch':>9}{'times as fast':>15}{'test -ELBO':>12}{'difference':>12}")
    for name, each in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(seconds[first], each, strict=True))
        print(
            f"{name:<22}{statistics.median(each):>9.2f}{ratio:>15.2f}{losses[name]:>12.2f}"
            f"{losses[name] - losses[first]:>+12.2f}"
        )


if __name__ == "__main__":
    main()
