""" "Scale the noise by sigma, then by the gradient of sigma": the slope in logvar is doubled by a trick.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    std = torch.exp(0.5 * logvar)
    return mu + (2 * std - std.detach()) * noise
