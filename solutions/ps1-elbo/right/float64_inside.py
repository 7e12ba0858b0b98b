"""Everything in float64, the result cast back; torch.normal draws the samples."""

import math

import torch


def doubled(*tensors):
    return [t.double() for t in tensors]


def log_evidence(x, W, b, s):
    dtype = x.dtype
    x, W, b = doubled(x, W, b)
    C = W @ W.T + s**2 * torch.eye(len(b), dtype=torch.float64)
    away = (x - b).unsqueeze(-1)
    quadratic = (away.mT @ torch.linalg.inv(C) @ away).flatten()
    return (-0.5 * (quadratic + torch.logdet(2 * math.pi * C))).to(dtype)


def posterior(x, W, b, s):
    dtype = x.dtype
    x, W, b = doubled(x, W, b)
    C = W @ W.T + s**2 * torch.eye(len(b), dtype=torch.float64)
    gain = torch.linalg.solve(C, W).T
    covariance = torch.eye(W.shape[1], dtype=torch.float64) - gain @ W
    return ((x - b) @ gain.T).to(dtype), covariance.to(dtype)


def log_weights(x, mu, logvar, W, b, s, n, generator):
    x, mu, logvar, W, b = doubled(x, mu, logvar, W, b)
    std = torch.exp(logvar / 2)
    eps = torch.normal(0.0, 1.0, (n, *mu.shape), generator=generator).double()
    z = mu + std * eps
    fit = (x - b - z @ W.T).square().sum(-1) / s**2
    fit = fit + W.shape[0] * math.log(2 * math.pi * s * s)
    return 0.5 * ((eps**2).sum(-1) + logvar.sum(-1) - (z**2).sum(-1) - fit)


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    return log_weights(x, mu, logvar, W, b, s, n_samples, generator).mean(0).to(x.dtype)


def elbo_gap(x, mu, logvar, W, b, s):
    dtype = x.dtype
    x, mu, logvar, W, b = doubled(x, mu, logvar, W, b)
    _, singular, V = torch.linalg.svd(W, full_matrices=True)
    values = torch.ones(W.shape[1], dtype=torch.float64)
    values = torch.cat([1 + singular**2 / s**2, values[len(singular) :]])
    mean = (x - b) @ W @ V.T / s**2 / values
    shift = (values * (mu @ V.T - mean) ** 2).sum(1)
    trace = logvar.exp() @ (V**2 * values[:, None]).sum(0)
    gap = 0.5 * (shift + trace - values.log().sum() - (logvar + 1).sum(1))
    return gap.to(dtype)


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    log_w = log_weights(x, mu, logvar, W, b, s, k, generator)
    return log_w.sub(math.log(k)).logsumexp(0).to(x.dtype)
