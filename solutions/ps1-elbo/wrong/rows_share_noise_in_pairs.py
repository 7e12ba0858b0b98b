""" "Half the noise is enough": two rows share theirs.

Loses: elbo-hidden
"""

import torch
from torch.distributions import Normal


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn(n_samples, (len(mu) + 1) // 2, mu.shape[1], generator=generator, dtype=mu.dtype)
    eps = eps.repeat_interleave(2, 1)[:, : len(mu)]
    z = mu + std * eps
    fit = Normal(z @ W.T + b, s).log_prob(x).sum(-1)
    prior = Normal(0.0, 1.0).log_prob(z).sum(-1)
    log_q = Normal(mu, std).log_prob(z).sum(-1)
    return (fit + prior - log_q).mean(0)
