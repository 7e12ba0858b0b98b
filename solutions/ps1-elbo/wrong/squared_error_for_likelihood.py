""" "log p(x | z) is minus half the squared error": s and all constants are lost.

Loses: elbo-visible, elbo-hidden
"""

import torch


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + std * eps
    fit = (-0.5 * (x - b - z @ W.T) ** 2).sum(-1).mean(0)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(-1)
    return fit - kl
