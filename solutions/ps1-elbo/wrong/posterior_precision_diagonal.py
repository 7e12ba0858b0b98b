""" "Both are diagonal": the off-diagonal of the precision is dropped.

Loses: elbo-gap-visible, elbo-gap-hidden
"""

import torch


def elbo_gap(x, mu, logvar, W, b, s):
    precision = 1 + W.square().sum(0) / s**2
    inverse = torch.linalg.inv(W.T @ W + s**2 * torch.eye(W.shape[1], dtype=x.dtype))
    away = mu - (x - b) @ W @ inverse
    terms = precision * (away**2 + logvar.exp()) - 1 - logvar - precision.log()
    return 0.5 * terms.sum(1)
