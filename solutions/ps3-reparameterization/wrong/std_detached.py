""" "Only the mean should learn from the reconstruction": the width is cut off.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    std = torch.exp(0.5 * logvar).detach()
    return mu + std * noise
