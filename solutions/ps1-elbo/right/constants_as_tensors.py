"""Constants made by torch.tensor, in its default dtype; covariance from a pseudo-inverse."""

import torch


def log_evidence(x, W, b, s):
    two_pi, variance = torch.tensor(2 * torch.pi), torch.tensor(s) ** 2
    C = W @ W.T + variance * torch.eye(len(b), dtype=x.dtype)
    quadratic = ((x - b) @ torch.linalg.inv(C) * (x - b)).sum(-1)
    return -0.5 * (quadratic + torch.logdet(C) + len(b) * torch.log(two_pi))


def posterior(x, W, b, s):
    variance = torch.tensor(s).square()
    S = variance * torch.linalg.pinv(W.T @ W + variance * torch.eye(W.shape[1], dtype=x.dtype))
    return (x - b) @ W @ S / variance, S


def elbo_gap(x, mu, logvar, W, b, s):
    precision = torch.eye(W.shape[1], dtype=x.dtype) + W.T @ W / torch.tensor(s) ** 2
    mean = (x - b) @ W @ torch.linalg.inv(precision) / torch.tensor(s) ** 2
    terms = precision.diagonal() * logvar.exp() - torch.tensor(1.0) - logvar
    shift = torch.einsum("ni,ij,nj->n", mu - mean, precision, mu - mean)
    return 0.5 * (terms.sum(-1) + shift - torch.logdet(precision))


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    eps = torch.randn(k, *mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + torch.exp(logvar / 2) * eps
    scale = torch.log(torch.tensor(2 * torch.pi)) + 2 * torch.log(torch.tensor(s))
    log_w = -0.5 * (((x - b - z @ W.T) / s).square() + scale).sum(-1)
    log_w = log_w + 0.5 * (eps.square() + logvar - z.square()).sum(-1)
    return torch.logsumexp(log_w, 0) - torch.log(torch.tensor(k))
