"""Batch normalisation that never stops using the batch.

Loses: decoder-hidden
"""

import torch
from torch import nn


class Decoder(nn.Module):
    def __init__(self, latent_dim, hidden_dim, output_dim):
        super().__init__()
        self.hidden = nn.Linear(latent_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, output_dim)
        self.norm = nn.BatchNorm1d(hidden_dim, track_running_stats=False)

    def forward(self, z):
        return self.out(torch.relu(self.norm(self.hidden(z))))
