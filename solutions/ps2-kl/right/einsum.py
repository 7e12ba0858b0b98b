"""Inner products by einsum, with precisions instead of variances."""

import torch


def kl_standard_normal(mu, logvar):
    squares = torch.einsum("bd,bd->b", mu, mu)
    variances = torch.einsum("bd->b", logvar.exp())
    logs = torch.einsum("bd->b", logvar)
    return (squares + variances - logs - mu.shape[1]) / 2


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    precision = torch.exp(-logvar_p)
    gap = mu_q - mu_p
    distance = torch.einsum("bd,bd,bd->b", gap, gap, precision)
    trace = torch.einsum("bd,bd->b", logvar_q.exp(), precision)
    logdet = (logvar_p - logvar_q).sum(dim=1)
    return (distance + trace + logdet - mu_q.shape[1]) / 2


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    batch, latent = mu.shape
    eps = torch.randn(batch, n_samples, latent, generator=generator, dtype=mu.dtype)
    z = mu[:, None] + (0.5 * logvar).exp()[:, None] * eps
    energy = torch.einsum("bnd,bnd->b", z, z) - torch.einsum("bnd,bnd->b", eps, eps)
    return (energy / n_samples - logvar.sum(dim=1)) / 2
