""" "Every noise with its negative": but independent draws are asked.

Loses: score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = torch.exp(0.5 * logvar)
    half = (n_samples + 1) // 2
    noise = torch.randn(half, len(mu), generator=generator, dtype=mu.dtype)
    noise = torch.cat([noise, -noise])[:n_samples]
    values = f(mu + std * noise)
    if baseline is not None:
        values = values - baseline
    values = values[:, None]
    return (values * noise / std).mean(0), (values * (noise**2 - 1) / 2).mean(0)
