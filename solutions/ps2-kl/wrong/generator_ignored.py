""" "randn_like takes no generator, so it will not matter".

Loses: kl-monte-carlo-visible, kl-monte-carlo-hidden
"""

import torch
from torch.distributions import Normal


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    eps = torch.randn_like(mu.expand(n_samples, *mu.shape))
    z = mu + torch.exp(0.5 * logvar) * eps
    log_q = Normal(mu, torch.exp(0.5 * logvar)).log_prob(z).sum(-1)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    return (log_q - log_p).mean(0)
