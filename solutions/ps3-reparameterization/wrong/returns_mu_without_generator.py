""" "No generator means evaluation, and there the mean is used".

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    if generator is None:
        return mu
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise
