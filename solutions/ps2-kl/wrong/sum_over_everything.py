""" "torch.sum adds up what there is to add": the batch is summed too, and one number comes out.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""

import torch


def kl_standard_normal(mu, logvar):
    return -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
