""" "sample does it": but it takes no generator.

Loses: score-function-gradient-visible, score-function-gradient-hidden
"""

import torch
from torch.distributions import Normal


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    q = Normal(m, torch.exp(0.5 * v))
    z = q.sample((n_samples,))
    values = f(z)
    if baseline is not None:
        values = values - baseline
    return torch.autograd.grad((values * q.log_prob(z).sum(1)).mean(), (m, v))
