"""Sampling by torch.distributions."""

from pathlib import Path

import torch
from torch import nn
from torch.distributions import Normal

from vaelab.data import digits


class Net(nn.Module):
    latent_dim = 20

    def __init__(self):
        super().__init__()
        self.enc = nn.Sequential(nn.Linear(784, 128), nn.ReLU(), nn.Linear(128, 40))
        self.dec = nn.Sequential(nn.Linear(20, 128), nn.ReLU(), nn.Linear(128, 784))

    def decode(self, z):
        return self.dec(z)

    def forward(self, x):
        mu, logvar = torch.split(self.enc(x), 20, dim=-1)
        z = Normal(mu, (logvar / 2).exp()).rsample()
        return self.decode(z), mu, logvar


def build_own():
    return Net()


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
