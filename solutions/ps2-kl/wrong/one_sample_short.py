"""A loop from 1 to n_samples that stops one short, and averages over what it has.

Loses: kl-monte-carlo-hidden
"""

import torch
from torch.distributions import Normal


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    q, p = Normal(mu, torch.exp(0.5 * logvar)), Normal(0.0, 1.0)
    values = []
    for _ in range(1, max(n_samples, 2)):
        eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
        z = mu + torch.exp(0.5 * logvar) * eps
        values.append((q.log_prob(z) - p.log_prob(z)).sum(-1))
    return torch.stack(values).mean(0)
