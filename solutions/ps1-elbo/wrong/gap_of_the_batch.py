""" "One gap for the batch".

Loses: elbo-gap-visible, elbo-gap-hidden
"""

import torch
from torch.distributions import MultivariateNormal, kl_divergence


def elbo_gap(x, mu, logvar, W, b, s):
    eye = torch.eye(W.shape[1], dtype=x.dtype)
    inverse = torch.linalg.inv(W.T @ W + s**2 * eye)
    target = MultivariateNormal((x - b) @ W @ inverse, s**2 * inverse)
    q = MultivariateNormal(mu, torch.diag_embed(logvar.exp()))
    return kl_divergence(q, target).mean()
