""" "sigma is the root of a variance, so the 2 goes with logvar": multiplied, not divided.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.exp(2 * logvar) * noise
