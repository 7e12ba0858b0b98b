"""The identities of the page: each quantity from the others, the lemma of Woodbury, a running log
of sums.
"""

import math

import torch
from torch.distributions import LowRankMultivariateNormal, Normal


def log_evidence(x, W, b, s):
    return LowRankMultivariateNormal(b, W, torch.full_like(b, s**2)).log_prob(x)


def posterior(x, W, b, s):
    latent = W.shape[1]
    joint = torch.cat([W, s * torch.eye(len(b), dtype=W.dtype)], dim=1)
    C = joint @ joint.T
    cross = W.T
    mean = cross @ torch.linalg.solve(C, (x - b).T)
    covariance = torch.eye(latent, dtype=W.dtype) - cross @ torch.linalg.solve(C, W)
    return mean.T, covariance


def elbo(x, mu, logvar, W, b, s, n_samples, generator=None):
    total = torch.zeros_like(mu[:, 0])
    for _ in range(n_samples):
        eps = torch.empty_like(mu).normal_(generator=generator)
        z = mu + torch.exp(0.5 * logvar) * eps
        total += Normal(z @ W.T + b, s).log_prob(x).sum(-1)
        total += Normal(0.0, 1.0).log_prob(z).sum(-1)
    entropy = 0.5 * (logvar + math.log(2 * math.pi) + 1).sum(-1)
    return total / n_samples + entropy


def elbo_gap(x, mu, logvar, W, b, s):
    residual = (x - b - mu @ W.T).pow(2).sum(1) + (logvar.exp() @ (W**2).T).sum(1)
    fit = -0.5 * residual / s**2 - 0.5 * len(b) * math.log(2 * math.pi * s**2)
    bound = fit - 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    evidence = LowRankMultivariateNormal(b, W, torch.full_like(b, s**2)).log_prob(x)
    return evidence - bound


def importance_bound(x, mu, logvar, W, b, s, k, generator=None):
    total = torch.full_like(mu[:, 0], -torch.inf)
    for _ in range(k):
        eps = torch.empty_like(mu).normal_(generator=generator)
        z = mu + torch.exp(0.5 * logvar) * eps
        log_w = Normal(z @ W.T + b, s).log_prob(x).sum(-1)
        log_w = log_w + 0.5 * (eps**2 + logvar - z**2).sum(-1)
        total = torch.logaddexp(total, log_w)
    return total - math.log(k)
