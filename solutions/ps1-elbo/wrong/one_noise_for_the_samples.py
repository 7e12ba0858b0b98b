""" "Draw once, then average n_samples times".

Loses: elbo-visible, elbo-hidden
"""

import torch
from torch.distributions import Normal


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn(*mu.shape, generator=generator, dtype=mu.dtype)
    eps = eps.expand(n_samples, *mu.shape)
    z = mu + std * eps
    fit = Normal(z @ W.T + b, s).log_prob(x).sum(-1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    return (fit + prior - log_q).mean(0)
