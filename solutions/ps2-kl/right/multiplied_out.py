"""The square of a difference multiplied out; and three loops around one number at a time."""

import math

import torch


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    second_moment = mu_q**2 - 2 * mu_q * mu_p + mu_p**2 + logvar_q.exp()
    expected = second_moment / logvar_p.exp()
    return 0.5 * (logvar_p - logvar_q + expected - 1).sum(1)


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    rows = []
    for means, logvars in zip(mu.tolist(), logvar.tolist(), strict=True):
        total = 0.0
        for _ in range(n_samples):
            for m, v in zip(means, logvars, strict=True):
                e = torch.randn((), generator=generator, dtype=mu.dtype).item()
                z = m + math.exp(v / 2) * e
                log_q = -0.5 * (math.log(2 * math.pi) + v + e**2)
                log_p = -0.5 * (math.log(2 * math.pi) + z**2)
                total += log_q - log_p
        rows.append(total / n_samples)
    return torch.tensor(rows, dtype=mu.dtype)
