""" "The gradient of q, not of log q": weighted by the density once too often.

Loses: score-function-gradient-visible, score-function-gradient-hidden
"""

import torch
from torch.distributions import Normal


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = mu + torch.exp(0.5 * logvar) * noise
    values = f(z)
    if baseline is not None:
        values = values - baseline
    q = Normal(m, torch.exp(0.5 * v)).log_prob(z).sum(1).exp()
    return torch.autograd.grad((values * q).mean(), (m, v))
