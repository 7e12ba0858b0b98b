""" "W is data here": no gradient reaches it.

Loses: log-evidence-hidden
"""

import torch
from torch.distributions import MultivariateNormal


def log_evidence(x, W, b, s):
    eye = torch.eye(len(b), dtype=x.dtype)
    covariance = W.detach() @ W.detach().T + s**2 * eye
    return MultivariateNormal(b, covariance).log_prob(x)
