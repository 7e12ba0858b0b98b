""" "log_prob(z) of my draw": z moves with the parameters, and the score cancels.

Loses: score-function-gradient-visible, score-function-gradient-hidden
"""

import torch
from torch.distributions import Normal


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = m + torch.exp(0.5 * v) * noise
    values = f(z).detach()
    if baseline is not None:
        values = values - baseline
    log_q = Normal(m, torch.exp(0.5 * v)).log_prob(z).sum(1)
    return torch.autograd.grad((values * log_q).mean(), (m, v), allow_unused=True)
