"""The log-variance is one learned vector, whatever the image is.

Loses: encoder-hidden
"""

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.hidden = nn.Linear(input_dim, hidden_dim)
        self.mu = nn.Linear(hidden_dim, latent_dim)
        self.logvar = nn.Parameter(torch.zeros(latent_dim))

    def forward(self, x):
        mu = self.mu(torch.relu(self.hidden(x)))
        return mu, self.logvar.expand_as(mu)
