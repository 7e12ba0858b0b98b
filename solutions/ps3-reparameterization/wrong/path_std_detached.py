""" "The width only scales the noise": no gradient reaches logvar.

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = m + torch.exp(0.5 * v).detach() * noise
    to_mu = torch.autograd.grad(f(z).mean(), m)[0]
    return to_mu, torch.zeros_like(to_mu)
