""" "Gradients only cost memory": off they go, for the whole notebook; later tasks must not pay.

Loses: kl-standard-normal-hidden
"""

import torch


def kl_standard_normal(mu, logvar):
    torch.set_grad_enabled(False)
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
