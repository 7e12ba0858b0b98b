""" "log 2 pi is a constant": and so is a debt.

Loses: elbo-visible, elbo-hidden
"""

import math

import torch


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    std = torch.exp(0.5 * logvar)
    eps = torch.randn(n_samples, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + std * eps
    fit = (-0.5 * ((x - b - z @ W.T) / s) ** 2).sum(-1)
    fit = fit.mean(0) - len(b) * math.log(s)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(-1)
    return fit - kl
