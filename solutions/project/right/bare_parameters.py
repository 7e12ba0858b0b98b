"""No layers: matrices, and products written out."""

from pathlib import Path

import torch
from torch import nn

from vaelab.data import digits


class Net(nn.Module):
    def __init__(self, sizes=(784, 200, 16), latent=8):
        super().__init__()
        self.latent_dim = latent
        pairs = [(784, 200), (200, 2 * latent), (latent, 200), (200, 784)]
        self.w = nn.ParameterList(torch.randn(a, b) / a**0.5 for a, b in pairs)
        self.b = nn.ParameterList(torch.zeros(b) for _, b in pairs)

    def decode(self, z):
        h = torch.relu(z @ self.w[2] + self.b[2])
        return h @ self.w[3] + self.b[3]

    def forward(self, x):
        h = torch.relu(x @ self.w[0] + self.b[0])
        both = h @ self.w[1] + self.b[1]
        mu, logvar = both[:, : self.latent_dim], both[:, self.latent_dim :]
        std = torch.sqrt(torch.exp(logvar))
        return self.decode(torch.normal(0.0, 1.0, mu.shape) * std + mu), mu, logvar


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
