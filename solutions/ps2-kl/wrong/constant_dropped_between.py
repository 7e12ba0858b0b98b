""" "Minus one is a constant, leave it out".

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    ratio = torch.exp(logvar_q - logvar_p)
    shift = (mu_q - mu_p) ** 2 / logvar_p.exp()
    return 0.5 * (shift + ratio - (logvar_q - logvar_p)).sum(dim=1)
