"""The code is multiplied by zero: one image for every code.

Loses: decoder-hidden, train-model-visible
"""

import torch
from torch import nn


class Decoder(nn.Module):
    def __init__(self, latent_dim, hidden_dim, output_dim):
        super().__init__()
        self.hidden = nn.Linear(latent_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, output_dim)

    def forward(self, z):
        return self.out(torch.relu(self.hidden(torch.zeros_like(z))))
