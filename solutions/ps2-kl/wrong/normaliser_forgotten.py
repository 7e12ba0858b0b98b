""" "Constants cancel": but log sigma is not one, and it goes with them.

Loses: kl-monte-carlo-visible, kl-monte-carlo-hidden
"""

import torch


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + torch.exp(0.5 * logvar) * eps
    log_q = -0.5 * (eps**2).sum(-1)
    log_p = -0.5 * (z**2).sum(-1)
    return (log_q - log_p).mean(0)
