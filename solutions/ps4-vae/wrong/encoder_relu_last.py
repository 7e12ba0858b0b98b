"""A ReLU after the last layer: neither output can be negative.

Loses: encoder-hidden, train-model-visible
"""

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.hidden = nn.Linear(input_dim, hidden_dim)
        self.mu = nn.Linear(hidden_dim, latent_dim)
        self.logvar = nn.Linear(hidden_dim, latent_dim)

    def forward(self, x):
        h = torch.relu(self.hidden(x))
        return torch.relu(self.mu(h)), torch.relu(self.logvar(h))
