"""Multivariate normals with full covariance matrices that happen to be diagonal."""

import torch
from torch.distributions import MultivariateNormal, kl_divergence


def full(mu, logvar):
    return MultivariateNormal(mu, scale_tril=torch.diag_embed((logvar / 2).exp()))


def kl_standard_normal(mu, logvar):
    return kl_divergence(full(mu, logvar), full(mu * 0, logvar * 0))


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    return kl_divergence(full(mu_q, logvar_q), full(mu_p, logvar_p))
