""" "log_prob of a Gaussian gives the log-density": of each coordinate, and they are never added.

Loses: kl-monte-carlo-visible, kl-monte-carlo-hidden
"""

import torch
from torch.distributions import Normal


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + torch.exp(0.5 * logvar) * eps
    log_q = Normal(mu, torch.exp(0.5 * logvar)).log_prob(z)
    log_p = Normal(0.0, 1.0).log_prob(z)
    return (log_q - log_p).mean(0)
