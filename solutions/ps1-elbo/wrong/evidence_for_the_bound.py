""" "The bound tends to log p(x), so return that".

Loses: importance-bound-visible, importance-bound-hidden
"""

import torch
from torch.distributions import MultivariateNormal


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    covariance = W @ W.T + s**2 * torch.eye(len(b), dtype=x.dtype)
    return MultivariateNormal(b, covariance).log_prob(x)
