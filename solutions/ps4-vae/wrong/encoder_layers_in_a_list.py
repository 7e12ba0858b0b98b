"""The layers stand in a plain list: no module knows them.

Loses: encoder-visible, encoder-hidden, train-model-visible
"""

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.layers = [nn.Linear(input_dim, hidden_dim), nn.Linear(hidden_dim, 2 * latent_dim)]

    def forward(self, x):
        mu, logvar = self.layers[1](torch.relu(self.layers[0](x))).chunk(2, dim=1)
        return mu, logvar
