""" "The quadratic form of the covariance": of its inverse.

Loses: log-evidence-visible, log-evidence-hidden
"""

import math

import torch


def log_evidence(x, W, b, s):
    d = len(b)
    covariance = W @ W.T + s**2 * torch.eye(d, dtype=x.dtype)
    away = x - b
    quadratic = (away * (away @ covariance)).sum(1)
    return -0.5 * (d * math.log(2 * math.pi) + torch.logdet(covariance) + quadratic)
