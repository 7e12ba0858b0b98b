""" "The noise goes around a fixed centre": the mean is cut off.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu.detach() + torch.exp(0.5 * logvar) * noise
