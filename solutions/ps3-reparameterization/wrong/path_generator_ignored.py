""" "rsample does it all": but it takes no generator.

Loses: pathwise-gradient-visible, pathwise-gradient-hidden
"""

import torch
from torch.distributions import Normal


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    z = Normal(m, torch.exp(0.5 * v)).rsample((n_samples,))
    return torch.autograd.grad(f(z).mean(), (m, v))
