""" "The precision is what goes into a Gaussian": exp(-logvar) for the variance.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""

import torch


def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + torch.exp(-logvar) - 1 + logvar).sum(dim=1)
