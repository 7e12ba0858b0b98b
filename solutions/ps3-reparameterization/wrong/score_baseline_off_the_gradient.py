""" "Subtract it at the end": from the gradient, where it is a bias.

Loses: score-function-gradient-visible, score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = torch.exp(0.5 * logvar)
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    values = f(mu + std * noise)
    b = 0.0 if baseline is None else baseline
    values = values[:, None]
    return (values * noise / std).mean(0) - b, (values * (noise**2 - 1) / 2).mean(0) - b
