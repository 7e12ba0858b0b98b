""" "Every noise with its negative halves the error": but independent draws are asked.

Loses: pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    half = (n_samples + 1) // 2
    noise = torch.randn(half, len(mu), generator=generator, dtype=mu.dtype)
    noise = torch.cat([noise, -noise])[:n_samples]
    z = m + torch.exp(0.5 * v) * noise
    return torch.autograd.grad(f(z).mean(), (m, v))
