""" "None means that I choose the generator": a new one, always in the same state.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    if generator is None:
        generator = torch.Generator()
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise
