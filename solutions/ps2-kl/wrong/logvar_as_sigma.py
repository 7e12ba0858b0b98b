""" "The encoder's second output is the standard deviation": logvar is squared to get a variance.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""

import torch


def kl_standard_normal(mu, logvar):
    var = logvar**2
    return (mu**2 + var - 1 - torch.log(var)).sum(1) / 2
