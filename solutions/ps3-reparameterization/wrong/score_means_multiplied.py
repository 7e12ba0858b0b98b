""" "The mean of f times the mean of the score": a product of means is no mean of products.

Loses: score-function-gradient-visible, score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = torch.exp(0.5 * logvar)
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    values = f(mu + std * noise)
    if baseline is not None:
        values = values - baseline
    return values.mean() * (noise / std).mean(0), values.mean() * ((noise**2 - 1) / 2).mean(0)
