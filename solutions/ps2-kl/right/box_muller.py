"""Normal noise made from uniform draws, and a running mean over chunks of samples."""

import math

import torch


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    def uniform():
        return torch.rand(mu.shape, generator=generator, dtype=torch.float64)

    mean = torch.zeros(len(mu), dtype=torch.float64)
    for done in range(n_samples):
        radius = torch.sqrt(-2 * torch.log1p(-uniform()))
        eps = radius * torch.cos(2 * math.pi * uniform())
        z = mu.double() + torch.exp(logvar.double() / 2) * eps
        value = 0.5 * (z**2 - eps**2 - logvar).sum(1)
        mean += (value - mean) / (done + 1)
    return mean.to(mu.dtype)
