""" "torch.tensor gives what I need": the result comes back in float32.

Loses: log-evidence-hidden
"""

import torch
from torch.distributions import MultivariateNormal


def log_evidence(x, W, b, s):
    eye = torch.eye(len(b), dtype=x.dtype)
    covariance = W @ W.T + s**2 * eye
    value = MultivariateNormal(b, covariance).log_prob(x)
    return value.float()
