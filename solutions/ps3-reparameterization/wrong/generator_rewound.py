""" "Same generator, same result": it is set back to its seed at every call.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    if generator is not None:
        generator.manual_seed(generator.initial_seed())
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise
