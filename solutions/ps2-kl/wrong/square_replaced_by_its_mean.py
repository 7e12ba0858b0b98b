""" "The mean of eps squared is 1, so I may put 1": only what is linear in eps is still sampled.

Loses: kl-monte-carlo-hidden
"""

import torch


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    std = torch.exp(0.5 * logvar)
    z_squared = mu**2 + 2 * mu * std * eps + std**2
    return (0.5 * (z_squared - 1 - logvar)).sum(-1).mean(0)
