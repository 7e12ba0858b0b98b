"""The weights are float64. Handed in untrained.

Loses: model-visible, model-hidden, train-visible, train-hidden
"""

import torch
from torch import nn


class Net(nn.Module):
    latent_dim = 8

    def __init__(self):
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 16))
        self.decoder = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 784))

    def decode(self, z):
        return self.decoder(z)

    def forward(self, x):
        mu, logvar = self.encoder(x).chunk(2, dim=1)
        z = mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
        return self.decode(z), mu, logvar


def build_model():
    return Net().double()


def train(model, x, beta=1.0):
    return {}


torch.save({"data": "digits", "weights": Net().double().state_dict()}, "model.pt")
