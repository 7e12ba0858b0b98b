""" "A draw has one random number": shared by every latent dimension.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(len(mu), 1, generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise
