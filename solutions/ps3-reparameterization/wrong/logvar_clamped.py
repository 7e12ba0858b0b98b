""" "exp overflows, so clamp": right where nobody needs it, wrong beyond.

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    logvar = logvar.clamp(-20, 20)
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    return mu + torch.exp(0.5 * logvar) * noise
