""" "Evidence minus the ELBO at z = mu": the spread of q is left out of the likelihood.

Loses: elbo-gap-visible, elbo-gap-hidden
"""

import torch
from torch.distributions import MultivariateNormal, Normal


def elbo_gap(x, mu, logvar, W, b, s):
    covariance = W @ W.T + s**2 * torch.eye(len(b), dtype=x.dtype)
    evidence = MultivariateNormal(b, covariance).log_prob(x)
    fit = Normal(mu @ W.T + b, s).log_prob(x).sum(1)
    return evidence - fit + 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
