""" "The prior is centred at zero, it always is".

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    ratio = torch.exp(logvar_q - logvar_p)
    return 0.5 * (mu_q**2 / logvar_p.exp() + ratio - 1 - (logvar_q - logvar_p)).sum(dim=1)
