""" "A draw has one random number": shared by every dimension.

Loses: pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    noise = torch.randn(n_samples, 1, generator=generator, dtype=mu.dtype)
    z = m + torch.exp(0.5 * v) * noise
    return torch.autograd.grad(f(z).mean(), (m, v))
