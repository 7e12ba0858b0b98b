""" "logvar is a logarithm, its exponential is the width": sampled and scored with the variance.

Loses: kl-monte-carlo-visible, kl-monte-carlo-hidden
"""

import torch
from torch.distributions import Normal


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    std = torch.exp(logvar)
    z = mu + std * eps
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    return (log_q - log_p).mean(0)
