"""Later functions call earlier ones, as a library would."""

import math

import torch
from torch.distributions import MultivariateNormal, Normal, kl_divergence


def posterior(x, W, b, s):
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / s**2
    covariance = torch.linalg.inv(precision)
    covariance = (covariance + covariance.T) / 2
    return (x - b) @ W @ covariance / s**2, covariance


def elbo_gap(x, mu, logvar, W, b, s):
    q = MultivariateNormal(mu, torch.diag_embed(logvar.exp()))
    return kl_divergence(q, MultivariateNormal(*posterior(x, W, b, s)))


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    n = len(x)
    repeated = [t.repeat_interleave(k, 0) for t in (x, mu, logvar)]
    log_w = elbo(*repeated, W, b, s, 1, generator)
    return log_w.view(n, k).logsumexp(1) - math.log(k)


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    std = (logvar / 2).exp()
    eps = torch.randn(n_samples, *mu.shape, dtype=mu.dtype, generator=generator)
    z = torch.addcmul(mu, std, eps)
    value = Normal(z @ W.T + b, s).log_prob(x).sum(2)
    return (value + (0.5 * (eps**2 - z**2) + 0.5 * logvar).sum(2)).mean(0)
