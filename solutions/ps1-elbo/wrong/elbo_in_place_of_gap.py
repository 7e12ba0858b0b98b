""" "Evidence minus KL to the prior".

Loses: elbo-gap-visible, elbo-gap-hidden
"""

import torch
from torch.distributions import MultivariateNormal


def elbo_gap(x, mu, logvar, W, b, s):
    covariance = W @ W.T + s**2 * torch.eye(len(b), dtype=x.dtype)
    evidence = MultivariateNormal(b, covariance).log_prob(x)
    return evidence - 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
