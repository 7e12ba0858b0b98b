""" "logvar is the log, so exp gives the standard deviation": it gives its square.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.exp(logvar) * noise
