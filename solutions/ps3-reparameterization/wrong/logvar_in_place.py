""" "In place saves memory": the caller's logvar becomes a standard deviation.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    std = logvar.detach().mul_(0.5).exp_()
    return mu + torch.exp(0.5 * logvar) * noise + 0 * std
