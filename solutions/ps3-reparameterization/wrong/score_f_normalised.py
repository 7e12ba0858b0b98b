""" "Standardise the rewards, as everybody does": the scale of f is lost.

Loses: score-function-gradient-visible, score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = torch.exp(0.5 * logvar)
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    values = f(mu + std * noise)
    if baseline is not None:
        values = values - baseline
    values = (values - values.mean()) / (values.std() + 1e-8)
    values = values[:, None]
    return (values * noise / std).mean(0), (values * (noise**2 - 1) / 2).mean(0)
