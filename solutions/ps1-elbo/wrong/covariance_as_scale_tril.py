""" "scale_tril sounds like a scale, so the covariance goes there".

Loses: log-evidence-visible, log-evidence-hidden
"""

import torch
from torch.distributions import MultivariateNormal


def log_evidence(x, W, b, s):
    eye = torch.eye(len(b), dtype=x.dtype)
    covariance = W @ W.T + s**2 * eye
    return MultivariateNormal(b, scale_tril=covariance.tril()).log_prob(x)
