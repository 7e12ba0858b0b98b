"""The first task is the second with a standard prior; a dictionary of functions for the last."""

import torch


def general(mu_q, logvar_q, mu_p, logvar_p):
    delta = logvar_q - logvar_p
    distance = (mu_q - mu_p).square().mul(torch.exp(-logvar_p))
    return torch.add(distance, delta.exp()).sub(delta).sub(1).sum(-1).mul(0.5)


def kl_standard_normal(mu, logvar):
    return general(mu, logvar, torch.zeros_like(mu), torch.zeros_like(mu))


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    return general(mu_q, logvar_q, mu_p, logvar_p)


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    weight = {"sum": lambda n: 1, "mean": lambda n: n}
    try:
        top = weight[reconstruction_reduction](n_pixels)
        bottom = weight[kl_reduction](n_latent)
    except KeyError as error:
        raise ValueError(f"not a reduction: {error}") from error
    return top / bottom
