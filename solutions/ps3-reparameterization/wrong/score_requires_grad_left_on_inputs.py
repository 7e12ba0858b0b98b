""" "autograd needs requires_grad": switched on for the caller's tensors.

Loses: score-function-gradient-hidden
"""

import torch
from torch.distributions import Normal


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    mu.requires_grad_()
    logvar.requires_grad_()
    std = torch.exp(0.5 * logvar)
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = (mu + std * noise).detach()
    values = f(z)
    if baseline is not None:
        values = values - baseline
    log_q = Normal(mu, std).log_prob(z).sum(1)
    return torch.autograd.grad((values * log_q).mean(), (mu, logvar))
