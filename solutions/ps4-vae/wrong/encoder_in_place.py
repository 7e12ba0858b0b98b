"""The images of the caller are centred in place.

Loses: encoder-visible, encoder-hidden, train-model-visible
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
        with torch.no_grad():
            x -= 0.5
        h = torch.relu(self.hidden(x))
        return self.mu(h), self.logvar(h)
