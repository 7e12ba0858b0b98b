""" "x -= b saves a name".

Loses: posterior-hidden
"""

import torch


def posterior(x, W, b, s):
    x -= b
    eye = torch.eye(W.shape[1], dtype=x.dtype)
    inverse = torch.linalg.inv(W.T @ W + s**2 * eye)
    mean = x @ W @ inverse
    return mean, s**2 * inverse
