""" "q is the one we average over, so its variance sets the scale of the shift".

Loses: kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    ratio = torch.exp(logvar_q - logvar_p)
    shift = (mu_q - mu_p) ** 2 / logvar_q.exp()
    return 0.5 * (shift + ratio - 1 - (logvar_q - logvar_p)).sum(dim=1)
