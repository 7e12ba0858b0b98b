""" "Outliers hurt training": noise beyond 3 is cut off.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise.clamp(-3, 3)
