""" "The entropy of q is known, only the other half needs sampling": more than is allowed.

Loses: kl-monte-carlo-visible, kl-monte-carlo-hidden
"""

import torch
from torch.distributions import Normal


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + torch.exp(0.5 * logvar) * eps
    entropy = Normal(mu, torch.exp(0.5 * logvar)).entropy().sum(-1)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    return -entropy - log_p.mean(0)
