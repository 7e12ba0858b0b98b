""" "Drawing random numbers needs no gradient": and so neither does what is computed with them.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    with torch.no_grad():
        noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
        return mu + torch.exp(0.5 * logvar) * noise
