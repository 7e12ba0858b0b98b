"""A head each for mu and logvar."""

from pathlib import Path

import torch
from torch import nn

from vaelab.data import digits


class Net(nn.Module):
    def __init__(self, latent_dim):
        super().__init__()
        self.latent_dim = latent_dim
        self.body = nn.Sequential(nn.Linear(784, 128), nn.ReLU())
        self.mu = nn.Linear(128, latent_dim)
        self.logvar = nn.Linear(128, latent_dim)
        self.out = nn.Sequential(nn.Linear(latent_dim, 128), nn.ReLU(), nn.Linear(128, 784))

    def decode(self, z):
        return self.out(z)

    def forward(self, x):
        h = self.body(x)
        mu, logvar = self.mu(h), self.logvar(h)
        return self.decode(mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)), mu, logvar


def build_own():
    return Net(10)


def loss(model, x, beta):
    logits, mu, logvar = model(x)
    misfit = nn.functional.binary_cross_entropy_with_logits(logits, x, reduction="sum")
    kl = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return (misfit + beta * kl) / len(x)


def train_own(model, x, beta=1.0):
    steps = 1100
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    model.train()
    for _ in range(steps):
        batch = x[torch.randint(len(x), (32,))]
        optimizer.zero_grad()
        loss(model, batch, beta).backward()
        optimizer.step()
        schedule.step()
    model.eval()
    return {"steps": steps}


if not Path("model.pt").exists():
    torch.manual_seed(0)
    mine = build_own()
    train_own(mine, digits().train.x)
    torch.save({"data": "digits", "weights": mine.state_dict()}, "model.pt")


def build_model():
    return build_own()


def train(model, x, beta=1.0):
    return train_own(model, x, beta)
