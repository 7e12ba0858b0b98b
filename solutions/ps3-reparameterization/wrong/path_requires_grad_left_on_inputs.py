""" "autograd needs requires_grad, so switch it on": on the caller's tensors.

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    mu.requires_grad_()
    logvar.requires_grad_()
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = mu + torch.exp(0.5 * logvar) * noise
    return torch.autograd.grad(f(z).mean(), (mu, logvar))
