""" "log(sigma_p / sigma_q) is logvar_p - logvar_q": the half of the square root is forgotten.

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    ratio = torch.exp(logvar_q - logvar_p)
    shift = (mu_q - mu_p) ** 2 / logvar_p.exp()
    return (logvar_p - logvar_q + 0.5 * (ratio + shift - 1)).sum(dim=1)
