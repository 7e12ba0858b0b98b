""" "The mean squared error is the reconstruction": averaged over pixels, beside a summed KL.

Loses: elbo-visible, elbo-hidden
"""

import torch
from torch.distributions import Normal


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + std * eps
    fit = Normal(z @ W.T + b, s).log_prob(x).mean(-1).mean(0)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(-1)
    return fit - kl
