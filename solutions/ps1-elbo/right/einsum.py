"""Everything by einsum, and the exact KL from the prior inside the ELBO."""

import math

import torch


def log_evidence(x, W, b, s):
    d = b.numel()
    covariance = torch.einsum("ik,jk->ij", W, W) + torch.diag(torch.full_like(b, s**2))
    precision = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
    quadratic = torch.einsum("ni,ij,nj->n", x - b, precision, x - b)
    return -(quadratic + torch.linalg.slogdet(covariance)[1] + d * math.log(2 * math.pi)) / 2


def posterior(x, W, b, s):
    precision = torch.einsum("ik,il->kl", W, W) / s**2
    precision = precision + torch.diag(torch.ones_like(W[0]))
    covariance = torch.cholesky_inverse(torch.linalg.cholesky(precision))
    mean = torch.einsum("kl,il,ni->nk", covariance, W, x - b) / s**2
    return mean, covariance


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    eps = mu.new_empty(mu.shape[0], n_samples, mu.shape[1]).normal_(generator=generator)
    z = mu[:, None] + torch.einsum("nk,nmk->nmk", torch.exp(logvar / 2), eps)
    error = x[:, None] - b - torch.einsum("nmk,ik->nmi", z, W)
    fit = -torch.einsum("nmi,nmi->n", error, error) / (2 * s**2 * n_samples)
    fit = fit - b.numel() * math.log(s * math.sqrt(2 * math.pi))
    return fit + 0.5 * (1 + logvar - mu**2 - logvar.exp()).sum(-1)


def elbo_gap(x, mu, logvar, W, b, s):
    precision = torch.einsum("ik,il->kl", W, W) / s**2
    precision = precision + torch.diag(torch.ones_like(W[0]))
    mean = torch.linalg.solve(precision, torch.einsum("ik,ni->kn", W, x - b)).T / s**2
    shift = torch.einsum("nk,kl,nl->n", mu - mean, precision, mu - mean)
    trace = torch.einsum("nk,kk->n", logvar.exp(), precision)
    return (shift + trace - (1 + logvar).sum(1) - precision.logdet()) / 2


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    eps = mu.new_empty(mu.shape[0], k, mu.shape[1]).normal_(generator=generator)
    z = mu[:, None] + torch.exp(logvar / 2)[:, None] * eps
    error = x[:, None] - b - torch.einsum("nmk,ik->nmi", z, W)
    log_w = -torch.einsum("nmi,nmi->nm", error, error) / (2 * s**2)
    log_w = log_w - b.numel() * math.log(s * math.sqrt(2 * math.pi))
    log_w = log_w + 0.5 * (eps**2 - z**2).sum(-1) + logvar.sum(1, keepdim=True) / 2
    top = log_w.amax(1)
    return top + (log_w - top[:, None]).exp().mean(1).log()
