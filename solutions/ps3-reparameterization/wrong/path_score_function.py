""" "Both estimators are unbiased, so either will do": this is the other one.

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    std = torch.exp(0.5 * logvar)
    with torch.no_grad():
        values = f(mu + std * noise)[:, None]
    return (values * noise / std).mean(0), (values * (noise**2 - 1) / 2).mean(0)
