""" "logvar is the log of sigma, so sigma squared is exp(2 logvar)".

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""

import torch


def kl_standard_normal(mu, logvar):
    return (mu**2 + torch.exp(2 * logvar) - 1 - 2 * logvar).sum(1) / 2
