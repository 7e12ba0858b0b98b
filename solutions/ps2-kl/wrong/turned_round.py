""" "KL is a distance, so the order of its arguments does not matter".

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""

import torch


def kl_standard_normal(mu, logvar):
    return 0.5 * ((1 + mu**2) * torch.exp(-logvar) - 1 + logvar).sum(dim=1)
