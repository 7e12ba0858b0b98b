""" "The pathwise estimator has less variance": but f need not have a slope.

Loses: score-function-gradient-visible, score-function-gradient-hidden
"""

import torch


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    m, v = mu.clone().requires_grad_(), logvar.clone().requires_grad_()
    noise = torch.randn(n_samples, len(mu), generator=generator, dtype=mu.dtype)
    z = m + torch.exp(0.5 * v) * noise
    values = f(z)
    if baseline is not None:
        values = values - baseline
    return torch.autograd.grad(values.mean(), (m, v), allow_unused=True)
