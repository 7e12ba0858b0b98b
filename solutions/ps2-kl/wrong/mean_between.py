""" "mean(dim=1) keeps the number independent of the latent size".

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    ratio = torch.exp(logvar_q - logvar_p)
    shift = (mu_q - mu_p) ** 2 / logvar_p.exp()
    return 0.5 * (shift + ratio - 1 - (logvar_q - logvar_p)).mean(dim=1)
