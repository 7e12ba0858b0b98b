""" "The path is z = mu + std noise, so differentiate in std": and stop there.

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    m = mu.clone().requires_grad_()
    std = torch.exp(0.5 * logvar).requires_grad_()
    z = m + std * noise
    return torch.autograd.grad(f(z).mean(), (m, std))
