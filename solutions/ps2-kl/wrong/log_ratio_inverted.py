""" "log of the ratio of variances": the ratio the wrong way up.

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    ratio = torch.exp(logvar_q - logvar_p)
    shift = (mu_q - mu_p) ** 2 / logvar_p.exp()
    return 0.5 * (shift + ratio - 1 + (logvar_q - logvar_p)).sum(dim=1)
