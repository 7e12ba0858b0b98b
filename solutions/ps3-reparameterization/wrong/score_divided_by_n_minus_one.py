""" "Divide by n - 1, then it is unbiased": that is for variances.

Loses: score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = torch.exp(0.5 * logvar)
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    values = f(mu + std * noise)
    if baseline is not None:
        values = values - baseline
    values, count = values[:, None], max(1, n_samples - 1)
    return (values * noise / std).sum(0) / count, (values * (noise**2 - 1) / 2).sum(0) / count
