""" "NumPy has slogdet": the numbers are right and the gradient is gone.

Loses: log-evidence-hidden
"""

import numpy as np
import torch


def log_evidence(x, W, b, s):
    xn, Wn, bn = x.detach().numpy(), W.detach().numpy(), b.detach().numpy()
    covariance = Wn @ Wn.T + s**2 * np.eye(len(bn))
    away = xn - bn
    quadratic = (away * np.linalg.solve(covariance, away.T).T).sum(1)
    value = len(bn) * np.log(2 * np.pi) + np.linalg.slogdet(covariance)[1] + quadratic
    return torch.from_numpy(-value / 2).to(x.dtype)
