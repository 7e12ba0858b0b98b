""" "std = exp(logvar / 2)" is computed first, as always, and then used in place of the variance.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""

import torch


def kl_standard_normal(mu, logvar):
    std = torch.exp(0.5 * logvar)
    return 0.5 * (mu**2 + std - 1 - logvar).sum(dim=1)
