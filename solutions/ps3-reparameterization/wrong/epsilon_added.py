""" "A standard deviation must never be zero": a small constant is added.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + (torch.exp(0.5 * logvar) + 1e-6) * noise
