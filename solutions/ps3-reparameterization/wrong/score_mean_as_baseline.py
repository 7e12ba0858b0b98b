""" "The mean of f is the usual baseline, so it is my default": from the same draws.

Loses: score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = torch.exp(0.5 * logvar)
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    values = f(mu + std * noise)
    values = values - (values.mean() if baseline is None else baseline)
    values = values[:, None]
    return (values * noise / std).mean(0), (values * (noise**2 - 1) / 2).mean(0)
