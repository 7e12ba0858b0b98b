"""The deviation is detached: logvar learns from the KL only.

Loses: vae-visible, vae-hidden, train-model-visible
"""

import torch
from torch import nn


class VAE(nn.Module):
    def __init__(self, input_dim, hidden_dim, latent_dim):
        super().__init__()
        self.latent_dim = latent_dim
        self.encoder = Encoder(input_dim, hidden_dim, latent_dim)
        self.decoder = Decoder(latent_dim, hidden_dim, input_dim)

    def forward(self, x):
        mu, logvar = self.encoder(x)
        std = torch.exp(0.5 * logvar).detach()
        return self.decoder(mu + std * torch.randn_like(std)), mu, logvar
