""" "Every pixel is Gaussian, so add up their log densities": pixels share z and are not
independent.

Loses: log-evidence-visible, log-evidence-hidden
"""

import torch
from torch.distributions import Normal


def log_evidence(x, W, b, s):
    std = (W.square().sum(1) + s**2).sqrt()
    return Normal(b, std).log_prob(x).sum(1)
