""" "The means differ by so much, whatever the variances": the squared difference is not divided.

Loses: kl-diagonal-gaussians-hidden
"""

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    ratio = torch.exp(logvar_q - logvar_p)
    return 0.5 * ((mu_q - mu_p) ** 2 + ratio - 1 - (logvar_q - logvar_p)).sum(dim=1)
