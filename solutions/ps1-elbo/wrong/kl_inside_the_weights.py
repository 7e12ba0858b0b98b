""" "log w is log p(x | z) minus the KL": right on average for k = 1, not inside a sum.

Loses: importance-bound-visible, importance-bound-hidden
"""

import math

import torch
from torch.distributions import Normal


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn(k, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + std * eps
    fit = Normal(z @ W.T + b, s).log_prob(x).sum(-1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(-1)
    log_w = fit - kl
    return torch.logsumexp(log_w, 0) - math.log(k)
