""" "Constants do not matter": but this is a log density, not only its gradient.

Loses: log-evidence-visible, log-evidence-hidden
"""

import torch


def log_evidence(x, W, b, s):
    d = len(b)
    covariance = W @ W.T + s**2 * torch.eye(d, dtype=x.dtype)
    away = x - b
    quadratic = (away * torch.linalg.solve(covariance, away.T).T).sum(1)
    return -0.5 * (torch.logdet(covariance) + quadratic)
