""" "A KL is not negative, so take the absolute value": which hides the exchanged terms.

Loses: elbo-gap-visible, elbo-gap-hidden
"""

import torch


def elbo_gap(x, mu, logvar, W, b, s):
    latent = W.shape[1]
    precision = torch.eye(latent, dtype=x.dtype) + W.T @ W / s**2
    mean = torch.linalg.solve(precision, W.T @ (x - b).T).T / s**2
    away = mu - mean
    shift = (away @ precision * away).sum(1)
    trace = (logvar.exp() * precision.diagonal()).sum(1)
    return 0.5 * (trace - shift - latent - logvar.sum(1) - torch.logdet(precision)).abs()
