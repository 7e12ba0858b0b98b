""" "A divergence is only monitored, so no graph is needed".

Loses: kl-standard-normal-hidden
"""

import torch


def kl_standard_normal(mu, logvar):
    with torch.no_grad():
        return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
