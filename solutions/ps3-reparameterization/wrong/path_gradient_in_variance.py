""" "The parameter is the variance": its logarithm is forgotten.

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    m = mu.clone().requires_grad_()
    var = torch.exp(logvar).requires_grad_()
    z = m + var.sqrt() * noise
    return torch.autograd.grad(f(z).mean(), (m, var))
