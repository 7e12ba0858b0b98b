""" "values -= baseline saves a copy": and changes z, when f returns a view of it.

Loses: score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = torch.exp(0.5 * logvar)
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = mu + std * noise
    values = f(z)
    if baseline is not None:
        values -= baseline
    values, gap = values[:, None], z - mu
    to_logvar = (values * (gap**2 / std**2 - 1) / 2).mean(0)
    return (values * gap / std**2).mean(0), to_logvar
