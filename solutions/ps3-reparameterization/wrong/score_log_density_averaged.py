""" "log_prob gives one value a dimension; average them".

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
    log_q = Normal(m, torch.exp(0.5 * v)).log_prob(z).mean(1)
    return torch.autograd.grad((values * log_q).mean(), (m, v))
