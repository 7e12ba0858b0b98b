""" "Add a little to the diagonal before inverting".

Loses: posterior-hidden
"""

import torch


def posterior(x, W, b, s):
    eye = torch.eye(W.shape[1], dtype=x.dtype)
    inverse = torch.linalg.inv(W.T @ W + (s**2 + 1e-6) * eye)
    mean = (x - b) @ W @ inverse
    return mean, s**2 * inverse
