""" "logvar is the log of sigma": samples and log q agree with each other, not with q.

Loses: elbo-visible, elbo-hidden
"""

import torch
from torch.distributions import Normal


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    std = torch.exp(logvar)
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + std * eps
    fit = Normal(z @ W.T + b, s).log_prob(x).sum(-1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    return (fit + prior - log_q).mean(0)
