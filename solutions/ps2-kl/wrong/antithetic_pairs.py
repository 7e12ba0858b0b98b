""" "Every noise with its negative halves the error": but independent draws are asked.

Loses: kl-monte-carlo-hidden
"""

import torch
from torch.distributions import Normal


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    half = (n_samples + 1) // 2
    eps = torch.randn(half, *mu.shape, generator=generator, dtype=mu.dtype)
    eps = torch.cat([eps, -eps])[:n_samples]
    z = mu + torch.exp(0.5 * logvar) * eps
    log_q = Normal(mu, torch.exp(0.5 * logvar)).log_prob(z).sum(-1)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    return (log_q - log_p).mean(0)
