"""What vaelab's training is measured against: the well-known scripts, written as most people write them, and JAX."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader
from torchvision import datasets, transforms

from vaelab.data import Splits
from vaelab.evaluation import evaluate
from vaelab.models import VAE
from vaelab.training import fit


class Script:
    """784-400-20, Adam 1e-3, batches of 128 from a ``DataLoader`` with ``ToTensor``, the loss read at every step."""

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


class InMemory:
    """A convolutional system in a plain loop over tensors in memory: PyTorch's layers, its Adam, its losses."""

    def __init__(self, name: str, data: Splits) -> None:
        self.name, self.data = name, data
        self.x = data.train.x.view(-1, 1, 28, 28)
        torch.manual_seed(0)
        if name == "conv":
            self.latent = 20
            self.encoder = nn.Sequential(
                *(nn.Conv2d(1, 32, 4, 2, 1), nn.ReLU(), nn.Conv2d(32, 64, 4, 2, 1), nn.ReLU()),
                *(nn.Conv2d(64, 128, 3, 1, 1), nn.ReLU(), nn.Flatten(), nn.Linear(6272, 500), nn.ReLU()),
                nn.Linear(500, 40),
            )
            self.decoder = nn.Sequential(
                *(nn.Linear(20, 500), nn.ReLU(), nn.Linear(500, 6272), nn.ReLU(), nn.Unflatten(1, (128, 7, 7))),
                *(nn.ConvTranspose2d(128, 64, 3, 1, 1), nn.ReLU(), nn.ConvTranspose2d(64, 32, 4, 2, 1), nn.ReLU()),
                nn.ConvTranspose2d(32, 1, 4, 2, 1),
            )
        else:
            self.latent = 12
            self.encoder = nn.Sequential(
                *(nn.Conv2d(1, 16, 3, 2, 1), nn.ReLU(), nn.BatchNorm2d(16)),
                *(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU(), nn.BatchNorm2d(32)),
                *(nn.Conv2d(32, 64, 3, 2, 1), nn.ReLU(), nn.BatchNorm2d(64), nn.Flatten(), nn.Linear(1024, 24)),
            )
            self.decoder = nn.Sequential(
                *(nn.Linear(12, 1024), nn.Unflatten(1, (64, 4, 4))),
                *(nn.ConvTranspose2d(64, 32, 3, 2, 1), nn.ReLU(), nn.BatchNorm2d(32)),
                *(nn.ConvTranspose2d(32, 16, 3, 2, 1, 1), nn.ReLU(), nn.BatchNorm2d(16)),
                nn.ConvTranspose2d(16, 1, 3, 2, 1, 1),
            )
        parameters = [*self.encoder.parameters(), *self.decoder.parameters()]
        self.optimizer = torch.optim.Adam(parameters, lr=1e-3)

    def loss(self, x: torch.Tensor) -> torch.Tensor:
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        logits = self.decoder(mu + torch.randn_like(mu) * torch.exp(0.5 * logvar))
        if self.name == "conv":
            reconstruction = F.binary_cross_entropy_with_logits(logits, x, reduction="sum")
        else:
            reconstruction = F.mse_loss(logits.sigmoid(), x, reduction="sum")
        return reconstruction - 0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())

    def epoch(self) -> float:
        start = time.perf_counter()
        self.encoder.train(), self.decoder.train()
        total = 0.0
        for batch in torch.randperm(len(self.x)).split(128):
            x = self.x[batch]
            self.optimizer.zero_grad()
            loss = self.loss(x) / len(x)
            loss.backward()
            total += loss.item()
            self.optimizer.step()
        return time.perf_counter() - start

    @torch.no_grad()
    def test_loss(self) -> float:
        self.encoder.eval(), self.decoder.eval()
        test = self.data.test.x.view(-1, 1, 28, 28)
        return sum(self.loss(x).item() for x in test.split(1_000)) / len(test)


class Jax:
    """784-400-20 in JAX: one compiled function per epoch, a scan over its batches, Adam by optax, float32."""

    def __init__(self, data: Splits) -> None:
        import jax
        import jax.numpy as jnp
        import optax

        def layer(key, inputs: int, outputs: int):
            bound = inputs**-0.5
            return tuple(
                jax.random.uniform(k, shape, minval=-bound, maxval=bound)
                for k, shape in zip(jax.random.split(key), ((inputs, outputs), (outputs,)), strict=True)
            )

        self.jax, self.key = jax, jax.random.PRNGKey(0)
        sizes = ((784, 400), (400, 40), (20, 400), (400, 784))
        self.weights = [layer(key, *size) for key, size in zip(jax.random.split(self.key, 4), sizes, strict=True)]
        adam = optax.adam(1e-3)
        self.state = adam.init(self.weights)
        self.x, self.test = (jnp.asarray(part.pixels.flatten(1).numpy()) for part in (data.train, data.test))
        steps = len(self.x) // 128  # a scan needs batches of one size: the last 96 images of each order are left out

        def terms(weights, x, key):
            (w1, b1), (w2, b2), (w3, b3), (w4, b4) = weights
            mu, logvar = jnp.split(jax.nn.relu(x @ w1 + b1) @ w2 + b2, 2, axis=1)
            z = mu + jnp.exp(0.5 * logvar) * jax.random.normal(key, mu.shape)
            logits = jax.nn.relu(z @ w3 + b3) @ w4 + b4
            nll = (jax.nn.softplus(logits) - x * logits).sum(1)
            return (nll + 0.5 * (mu**2 + jnp.exp(logvar) - logvar - 1).sum(1)).mean()

        def epoch(weights, state, key):
            key, order = jax.random.split(key)
            batches = self.x[jax.random.permutation(order, len(self.x))][: steps * 128].reshape(steps, 128, 784)

            def step(carry, pixels):
                weights, state, key = carry
                key, noise = jax.random.split(key)
                loss, gradient = jax.value_and_grad(terms)(weights, pixels.astype(jnp.float32) / 255, noise)
                updates, state = adam.update(gradient, state)
                return (optax.apply_updates(weights, updates), state, key), loss

            (weights, state, key), losses = jax.lax.scan(step, (weights, state, key), batches)
            return weights, state, key, losses.mean()

        self.terms = jax.jit(terms)
        self.run = jax.jit(epoch).lower(self.weights, self.state, self.key).compile()  # not timed

    def epoch(self) -> float:
        start = time.perf_counter()
        self.weights, self.state, self.key, loss = self.run(self.weights, self.state, self.key)
        float(loss)
        return time.perf_counter() - start

    def test_loss(self) -> float:
        return float(self.terms(self.weights, self.test.astype("float32") / 255, self.key))


class Ours:
    """vaelab: ``fit`` continues its own checkpoint, one epoch at a time; only its epochs are timed."""

    def __init__(self, make: Callable[[], VAE], data: Splits, folder: str, **settings) -> None:
        torch.manual_seed(0)
        self.model, self.data, self.settings, self.epochs = make(), data, settings, 0
        self.path = Path(tempfile.mkdtemp(dir=folder), "last.pt")

    def epoch(self) -> float:
        self.epochs += 1
        options = {"epochs": self.epochs, "checkpoint": self.path, "resume": True, "progress": False}
        return fit(self.model, self.data.train, **options, **self.settings)[-1]["seconds"]

    def test_loss(self) -> float:
        return evaluate(self.model, self.data.test)["loss"]
