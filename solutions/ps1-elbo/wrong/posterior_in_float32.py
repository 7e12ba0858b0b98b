""" "float32 is enough inside".

Loses: posterior-hidden
"""

import torch


def posterior(x, W, b, s):
    x32, W32, b32 = x.float(), W.float(), b.float()
    inverse = torch.linalg.inv(W32.T @ W32 + s**2 * torch.eye(W.shape[1]))
    mean = (x32 - b32) @ W32 @ inverse
    return mean.to(x.dtype), (s**2 * inverse).to(x.dtype)
