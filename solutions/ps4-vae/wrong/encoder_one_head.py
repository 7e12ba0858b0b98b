"""The same layer gives mu and logvar.

Loses: encoder-visible, encoder-hidden, train-model-visible
"""

import torch
from torch import nn


class Encoder(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.hidden = nn.Linear(input_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, latent_dim)

    def forward(self, x):
        out = self.out(torch.relu(self.hidden(x)))
        return out, out.clone()
