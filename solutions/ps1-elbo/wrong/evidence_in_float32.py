""" "float32 is enough inside": the digits are lost.

Loses: log-evidence-hidden
"""

import torch
from torch.distributions import MultivariateNormal


def log_evidence(x, W, b, s):
    x32, W32, b32 = x.float(), W.float(), b.float()
    covariance = W32 @ W32.T + s**2 * torch.eye(len(b))
    return MultivariateNormal(b32, covariance).log_prob(x32).to(x.dtype)
