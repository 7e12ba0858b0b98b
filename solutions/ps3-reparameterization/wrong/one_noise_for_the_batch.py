""" "One noise vector, each row moves and scales it": broadcasting does the rest.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape[1], generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise
