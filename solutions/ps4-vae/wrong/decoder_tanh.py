"""tanh at the end: logits between -1 and 1.

Loses: decoder-visible, decoder-hidden, train-model-visible
"""

import torch
from torch import nn


class Decoder(nn.Module):
    def __init__(self, latent_dim, hidden_dim, output_dim):
        super().__init__()
        self.hidden = nn.Linear(latent_dim, hidden_dim)
        self.out = nn.Linear(hidden_dim, output_dim)

    def forward(self, z):
        return torch.tanh(self.out(torch.relu(self.hidden(z))))
