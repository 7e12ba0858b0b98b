""" "scale = exp(logvar / 2)", and then the scale is used where its square belongs.

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    scale_q, scale_p = torch.exp(logvar_q / 2), torch.exp(logvar_p / 2)
    shift = (mu_q - mu_p) ** 2 / scale_p
    return 0.5 * (shift + scale_q / scale_p - 1 - (logvar_q - logvar_p)).sum(dim=1)
