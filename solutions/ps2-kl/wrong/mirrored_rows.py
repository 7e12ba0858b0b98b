""" "Half of the noise is enough": the second half of the batch gets the first half's, negated.

Loses: kl-monte-carlo-hidden
"""

import torch
from torch.distributions import Normal


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    batch, latent = mu.shape
    shape = (n_samples, (batch + 1) // 2, latent)
    half = torch.randn(shape, generator=generator, dtype=mu.dtype)
    eps = torch.cat([half, -half], 1)[:, :batch]
    z = mu + torch.exp(0.5 * logvar) * eps
    log_q = Normal(mu, torch.exp(0.5 * logvar)).log_prob(z).sum(-1)
    log_p = Normal(0.0, 1.0).log_prob(z).sum(-1)
    return (log_q - log_p).mean(0)
