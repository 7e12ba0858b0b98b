"""The formulas as most papers print them, minus sign in front and all."""

import torch


def kl_standard_normal(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp(), dim=-1)


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    var_q, var_p = logvar_q.exp(), logvar_p.exp()
    fraction = (var_q + (mu_q - mu_p) ** 2) / var_p
    return 0.5 * torch.sum(logvar_p - logvar_q + fraction - 1, dim=-1)


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    total = torch.zeros_like(mu[:, 0])
    std = (logvar / 2).exp()
    for _ in range(n_samples):
        eps = torch.empty_like(mu).normal_(generator=generator)
        z = mu + std * eps
        total += (0.5 * z**2 - 0.5 * eps**2 - 0.5 * logvar).sum(-1)
    return total / n_samples


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    match (reconstruction_reduction, kl_reduction):
        case ("sum", "sum"):
            return 1.0
        case ("mean", "sum"):
            return float(n_pixels)
        case ("sum", "mean"):
            return 1.0 / n_latent
        case ("mean", "mean"):
            return n_pixels / n_latent
        case _:
            raise ValueError("each reduction is 'sum' or 'mean'")
