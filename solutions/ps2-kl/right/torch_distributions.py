"""Everything from torch.distributions, the noise excepted, which must use the generator."""

import torch
from torch.distributions import Independent, Normal, kl_divergence


def gaussian(mu, logvar):
    return Independent(Normal(mu, torch.exp(0.5 * logvar)), 1)


def kl_standard_normal(mu, logvar):
    prior = gaussian(torch.zeros_like(mu), torch.zeros_like(logvar))
    return kl_divergence(gaussian(mu, logvar), prior)


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    return kl_divergence(gaussian(mu_q, logvar_q), gaussian(mu_p, logvar_p))


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    q = gaussian(mu, logvar)
    p = gaussian(torch.zeros_like(mu), torch.zeros_like(logvar))
    std = torch.exp(0.5 * logvar)
    shape = (n_samples, *mu.shape)
    noise = torch.randn(shape, generator=generator, dtype=mu.dtype)
    z = mu + std * noise
    return (q.log_prob(z) - p.log_prob(z)).mean(0)
