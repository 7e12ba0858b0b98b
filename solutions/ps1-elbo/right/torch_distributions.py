"""torch.distributions for every density and every divergence."""

import math

import torch
from torch.distributions import Independent, MultivariateNormal, Normal, kl_divergence


def log_evidence(x, W, b, s):
    eye = torch.eye(len(b), dtype=x.dtype)
    return MultivariateNormal(b, W @ W.T + s**2 * eye).log_prob(x)


def posterior(x, W, b, s):
    M = W.T @ W + s**2 * torch.eye(W.shape[1], dtype=x.dtype)
    mean = torch.linalg.solve(M, W.T @ (x - b).T).T
    return mean, s**2 * torch.linalg.inv(M)


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    q = Independent(Normal(mu, torch.exp(0.5 * logvar)), 1)
    eps = torch.randn((n_samples, *mu.shape), generator=generator, dtype=mu.dtype)
    z = q.mean + q.stddev * eps
    prior = Independent(Normal(torch.zeros_like(mu), torch.ones_like(mu)), 1)
    likelihood = Independent(Normal(z @ W.T + b, s), 1)
    return (likelihood.log_prob(x) + prior.log_prob(z) - q.log_prob(z)).mean(0)


def elbo_gap(x, mu, logvar, W, b, s):
    M = W.T @ W + s**2 * torch.eye(W.shape[1], dtype=x.dtype)
    mean = torch.linalg.solve(M, W.T @ (x - b).T).T
    exact = MultivariateNormal(mean, precision_matrix=M / s**2)
    q = MultivariateNormal(mu, scale_tril=torch.diag_embed(torch.exp(logvar / 2)))
    return kl_divergence(q, exact)


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    q = Independent(Normal(mu, torch.exp(0.5 * logvar)), 1)
    eps = torch.randn((k, *mu.shape), generator=generator, dtype=mu.dtype)
    z = q.mean + q.stddev * eps
    log_w = Independent(Normal(z @ W.T + b, s), 1).log_prob(x) - q.log_prob(z)
    log_w = log_w + Normal(0.0, 1.0).log_prob(z).sum(-1)
    return torch.logsumexp(log_w, dim=0) - math.log(k)
