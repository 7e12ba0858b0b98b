""" "softplus makes anything positive": but logvar is a logarithm.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.nn.functional.softplus(logvar) * noise
