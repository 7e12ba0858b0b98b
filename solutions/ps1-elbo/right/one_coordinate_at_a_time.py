"""Bayes' rule for one observed coordinate after the other, as a Kalman filter does it."""

import math

import torch


def absorb(x, W, b, s):
    """Means, covariance and log evidence when every coordinate has been seen."""
    mean = x.new_zeros(len(x), W.shape[1])
    covariance = torch.eye(W.shape[1], dtype=x.dtype)
    log_p = x.new_zeros(len(x))
    for i in range(len(b)):
        direction = covariance @ W[i]
        variance = W[i] @ direction + s**2
        surprise = x[:, i] - b[i] - mean @ W[i]
        log_p = log_p - 0.5 * (surprise**2 / variance + torch.log(2 * math.pi * variance))
        mean = mean + torch.outer(surprise, direction) / variance
        covariance = covariance - torch.outer(direction, direction) / variance
    return mean, covariance, log_p


def log_evidence(x, W, b, s):
    return absorb(x, W, b, s)[2]


def posterior(x, W, b, s):
    return absorb(x, W, b, s)[:2]
