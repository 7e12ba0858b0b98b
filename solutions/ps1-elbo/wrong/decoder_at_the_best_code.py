""" "The best z is what matters": the likelihood at the posterior mean, no integral over z.

Loses: log-evidence-visible, log-evidence-hidden
"""

import torch
from torch.distributions import Normal


def log_evidence(x, W, b, s):
    eye = torch.eye(W.shape[1], dtype=x.dtype)
    z = torch.linalg.solve(W.T @ W + s**2 * eye, W.T @ (x - b).T).T
    return Normal(z @ W.T + b, s).log_prob(x).sum(1)
