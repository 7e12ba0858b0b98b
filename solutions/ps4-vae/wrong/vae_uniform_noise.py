"""Uniform noise of variance 1 in place of a Gaussian.

Loses: vae-hidden
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
        noise = (torch.rand_like(mu) - 0.5) * 12**0.5
        return self.decoder(mu + (logvar / 2).exp() * noise), mu, logvar
