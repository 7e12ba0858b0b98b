""" "Mean 0 and variance 1 is all that matters": uniform noise, moved and scaled.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.rand(mu.shape, generator=generator, dtype=mu.dtype)
    noise = (noise - 0.5) * 12**0.5
    return mu + torch.exp(0.5 * logvar) * noise
