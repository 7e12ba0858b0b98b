""" "torch.normal takes tensors and a generator": its slope is 0.

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    std = torch.exp(0.5 * v).expand(n_samples, -1)
    z = torch.normal(m.expand(n_samples, -1), std, generator=generator)
    return torch.autograd.grad(f(z).mean(), (m, v))
