""" "Deep learning is done in float32".

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator)
    return mu.float() + torch.exp(0.5 * logvar.float()) * noise
