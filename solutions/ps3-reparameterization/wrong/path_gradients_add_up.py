""" "backward puts the gradients into .grad": of the caller's tensors, where they add up.

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    mu.requires_grad_()
    logvar.requires_grad_()
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = mu + torch.exp(0.5 * logvar) * noise
    f(z).mean().backward()
    return mu.grad, logvar.grad
