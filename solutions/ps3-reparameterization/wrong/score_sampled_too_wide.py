""" "exp(logvar) for the draws, the right density for the score": two distributions.

Loses: score-function-gradient-visible, score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = torch.exp(logvar)
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = mu + std * noise
    values = f(z)
    if baseline is not None:
        values = values - baseline
    values, gap = values[:, None], z - mu
    to_logvar = (values * (gap**2 / logvar.exp() - 1) / 2).mean(0)
    return (values * gap / logvar.exp()).mean(0), to_logvar
