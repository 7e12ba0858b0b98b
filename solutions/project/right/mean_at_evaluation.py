"""At evaluation forward decodes the mean; inputs are dropped in training."""

from pathlib import Path

import torch
from torch import nn

from vaelab.data import digits


class Net(nn.Module):
    latent_dim = 9

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Dropout(0.05), nn.Linear(784, 128), nn.SiLU(), nn.Linear(128, 18))
        self.decoder = nn.Sequential(nn.Linear(9, 128), nn.SiLU(), nn.Linear(128, 784))

    def sample(self, mu, logvar):
        if not self.training:
            return mu
        std = torch.exp(0.5 * logvar)
        return torch.addcmul(mu, std, torch.randn(std.shape))

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x):
        mu, logvar = self.encoder(x).tensor_split(2, dim=1)
        return self.decode(self.sample(mu, logvar)), mu, logvar


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
