""" "The prior is centred at zero, so p(x) is p(x | z = 0)": z adds no variance.

Loses: log-evidence-visible, log-evidence-hidden
"""

import torch
from torch.distributions import Normal


def log_evidence(x, W, b, s):
    return Normal(b, s).log_prob(x).sum(1)
