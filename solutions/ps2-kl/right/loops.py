"""Plain Python loops over rows, samples and dimensions: slow, and right."""

import math

import torch


def kl_standard_normal(mu, logvar):
    rows = []
    for m_row, v_row in zip(mu, logvar, strict=True):
        total = 0.0
        for m, v in zip(m_row, v_row, strict=True):
            total = total + 0.5 * (m * m + v.exp() - 1.0 - v)
        rows.append(total)
    return torch.stack(rows)


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    rows = []
    for i in range(mu_q.shape[0]):
        total = 0.0
        for j in range(mu_q.shape[1]):
            gap = mu_q[i, j] - mu_p[i, j]
            width = (logvar_q[i, j].exp() + gap * gap) / logvar_p[i, j].exp()
            total = total + 0.5 * (logvar_p[i, j] - logvar_q[i, j] + width - 1)
        rows.append(total)
    return torch.stack(rows)


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    constant = math.log(2 * math.pi)
    rows = []
    for m, v in zip(mu, logvar, strict=True):
        ratios = []
        for _ in range(n_samples):
            e = torch.randn(len(m), generator=generator, dtype=m.dtype)
            z = m + torch.exp(v / 2) * e
            log_q = -0.5 * (constant + v + (z - m) ** 2 / v.exp())
            log_p = -0.5 * (constant + z**2)
            ratios.append((log_q - log_p).sum())
        rows.append(sum(ratios) / n_samples)
    return torch.stack(rows)


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    weights = []
    pairs = [(n_pixels, reconstruction_reduction), (n_latent, kl_reduction)]
    for size, reduction in pairs:
        if reduction == "sum":
            weights.append(1.0)
        elif reduction == "mean":
            weights.append(1.0 / size)
        else:
            raise ValueError(f"unknown reduction: {reduction}")
    return weights[1] / weights[0]
