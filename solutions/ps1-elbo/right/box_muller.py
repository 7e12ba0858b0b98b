"""Normal noise made from uniform draws in float64, chunk by chunk."""

import math

import torch


def normal_noise(shape, generator):
    u = 1 - torch.rand(shape, generator=generator, dtype=torch.float64)
    v = torch.rand(shape, generator=generator, dtype=torch.float64)
    return torch.sqrt(-2 * torch.log(u)) * torch.cos(2 * math.pi * v)


def log_weight(x, mu, logvar, W, b, s, generator):
    eps = normal_noise(mu.shape, generator).to(mu.dtype)
    z = mu + torch.exp(logvar / 2) * eps
    fit = ((x - b - z @ W.T) / s).pow(2) + math.log(2 * math.pi) + 2 * math.log(s)
    return 0.5 * ((eps**2 + logvar - z**2).sum(1) - fit.sum(1))


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    mean = 0.0
    for n in range(n_samples):
        mean = mean + (log_weight(x, mu, logvar, W, b, s, generator) - mean) / (n + 1)
    return mean


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    draws = [log_weight(x, mu, logvar, W, b, s, generator) for _ in range(k)]
    log_w = torch.stack(draws, dim=1)
    return torch.nn.functional.log_softmax(log_w, 1).neg().add(log_w)[:, 0] - math.log(k)
