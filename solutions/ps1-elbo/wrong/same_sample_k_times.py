""" "One draw, repeated k times".

Loses: importance-bound-visible, importance-bound-hidden
"""

import math

import torch
from torch.distributions import Normal


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn(*mu.shape, generator=generator, dtype=mu.dtype)
    eps = eps.expand(k, *mu.shape)
    z = mu + std * eps
    fit = Normal(z @ W.T + b, s).log_prob(x).sum(-1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    log_w = fit + prior - log_q
    return torch.logsumexp(log_w, 0) - math.log(k)
