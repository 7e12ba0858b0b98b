""" "float32 is precise enough inside".

Loses: pathwise-gradient-hidden
"""

import torch


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m, v = (t.float().clone().requires_grad_() for t in (mu, logvar))
    noise = torch.randn(n_samples, len(mu), generator=generator)
    z = m + torch.exp(0.5 * v) * noise
    to_mu, to_logvar = torch.autograd.grad(f(z).mean(), (m, v))
    return to_mu.to(mu.dtype), to_logvar.to(mu.dtype)
