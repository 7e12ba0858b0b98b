"""q as a full Gaussian, samples through its Cholesky factor; the gap in the posterior's own units."""

import math

import torch
from torch.distributions import MultivariateNormal


def draws(mu, logvar, n, generator):
    q = MultivariateNormal(mu, covariance_matrix=torch.diag_embed(logvar.exp()))
    eps = torch.randn(n, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + (q.scale_tril @ eps.unsqueeze(-1)).squeeze(-1)
    return z, q.log_prob(z)


def log_joint(x, z, W, b, s):
    d, latent = W.shape
    decoder = MultivariateNormal(x.new_zeros(d), scale_tril=s * torch.eye(d, dtype=x.dtype))
    prior = MultivariateNormal(x.new_zeros(latent), torch.eye(latent, dtype=x.dtype))
    return decoder.log_prob(x - b - z @ W.T) + prior.log_prob(z)


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    z, log_q = draws(mu, logvar, n_samples, generator)
    return torch.mean(log_joint(x, z, W, b, s) - log_q, dim=0)


def elbo_gap(x, mu, logvar, W, b, s):
    precision = torch.eye(W.shape[1], dtype=W.dtype) + W.T @ W / s**2
    root = torch.linalg.cholesky(precision)
    centre = torch.cholesky_solve(((x - b) @ W).T / s**2, root).T
    away = (mu - centre) @ root
    scaled = root.T * torch.exp(logvar / 2).unsqueeze(1)
    log_ratio = logvar.sum(1) / 2 + root.diagonal().log().sum()
    return 0.5 * (away**2).sum(1) + 0.5 * ((scaled**2).sum((1, 2)) - W.shape[1]) - log_ratio


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    z, log_q = draws(mu, logvar, k, generator)
    log_w = log_joint(x, z, W, b, s) - log_q
    return torch.logcumsumexp(log_w, dim=0)[-1] - math.log(k)
