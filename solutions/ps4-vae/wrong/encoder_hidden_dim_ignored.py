"""Always 128 hidden units.

Loses: encoder-visible, encoder-hidden
"""

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.hidden = nn.Linear(input_dim, 128)
        self.out = nn.Linear(128, 2 * latent_dim)

    def forward(self, x):
        mu, logvar = self.out(torch.relu(self.hidden(x))).chunk(2, dim=1)
        return mu, logvar
