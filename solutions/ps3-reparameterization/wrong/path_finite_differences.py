""" "A small step up and a small step down": a bias of its own.

Loses: pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    std = torch.exp(0.5 * logvar)
    h = 1e-2
    parts = []
    for which in (0, 1):
        slopes = []
        for j in range(len(mu)):
            pair = []
            for sign in (1, -1):
                m, v = mu.clone(), logvar.clone()
                (m, v)[which][j] += sign * h
                pair.append(f(m + torch.exp(0.5 * v) * noise).mean())
            slopes.append((pair[0] - pair[1]) / (2 * h))
        parts.append(torch.stack(slopes))
    return tuple(parts)
