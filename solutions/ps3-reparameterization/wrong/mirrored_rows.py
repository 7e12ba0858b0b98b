""" "Mirror the noise, so that it averages to zero": rows come in related pairs.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    half = (len(mu) + 1) // 2
    noise = torch.randn(half, mu.shape[1], generator=generator, dtype=mu.dtype)
    noise = torch.cat([noise, -noise])[: len(mu)]
    return mu + torch.exp(0.5 * logvar) * noise
