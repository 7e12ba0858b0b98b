""" "The covariance is W W' + s^2 I": that of x, not that of z.

Loses: posterior-visible, posterior-hidden
"""

import torch


def posterior(x, W, b, s):
    eye = torch.eye(W.shape[1], dtype=x.dtype)
    inverse = torch.linalg.inv(W.T @ W + s**2 * eye)
    mean = (x - b) @ W @ inverse
    return mean, W @ W.T + s**2 * torch.eye(len(b), dtype=x.dtype)
