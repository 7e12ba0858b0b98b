""" "The prior is given, nothing to learn there": no gradient reaches it.

Loses: kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    mu_p, logvar_p = mu_p.detach(), logvar_p.detach()
    ratio = torch.exp(logvar_q - logvar_p)
    shift = (mu_q - mu_p) ** 2 / logvar_p.exp()
    return 0.5 * (shift + ratio - 1 - (logvar_q - logvar_p)).sum(dim=1)
