""" "Two gradients, in some order".

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = m + torch.exp(0.5 * v) * noise
    return torch.autograd.grad(f(z).mean(), (v, m))
