"""All latent dimensions of an image share one noise.

Loses: vae-hidden, train-model-visible
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
        z = mu + (logvar / 2).exp() * torch.randn_like(mu[:, :1])
        return self.decoder(z), mu, logvar
