"""What the page on reparameterization leads to, line by line."""

import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits


def reparameterize(mu, logvar, generator=None):
    std = (0.5 * logvar).exp()
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype, device=mu.device)
    return mu + std * eps


def pathwise_gradient(f, mu, logvar, n_samples, generator=None):
    mu = mu.clone().requires_grad_(True)
    logvar = logvar.clone().requires_grad_(True)
    eps = torch.randn(n_samples, mu.shape[0], generator=generator, dtype=mu.dtype)
    z = mu + (0.5 * logvar).exp() * eps
    f(z).mean().backward()
    return mu.grad, logvar.grad


def score_function_gradient(f, mu, logvar, n_samples, generator=None, baseline=None):
    std = (0.5 * logvar).exp()
    eps = torch.randn(n_samples, mu.shape[0], generator=generator, dtype=mu.dtype)
    z = mu + std * eps
    fz = f(z)
    if baseline is not None:
        fz = fz - baseline
    score_mu = (z - mu) / std**2
    score_logvar = 0.5 * ((z - mu) ** 2 / std**2 - 1)
    return (fz[:, None] * score_mu).mean(0), (fz[:, None] * score_logvar).mean(0)


def gumbel_softmax_sample(logits, temperature, generator=None):
    u = torch.rand(logits.shape, generator=generator, dtype=logits.dtype)
    tiny = torch.finfo(logits.dtype).tiny
    gumbel = -torch.log(-torch.log(u.clamp_min(tiny)))
    return torch.softmax((logits + gumbel) / temperature, dim=-1)


def train_step(encoder, decoder, optimizer, x, generator=None):
    optimizer.zero_grad()
    mu, logvar = encoder(x)
    std = torch.exp(0.5 * logvar)
    eps = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
    z = mu + std * eps
    logits = decoder(z)
    reconstruction = binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    loss = (reconstruction + kl).mean()
    loss.backward()
    optimizer.step()
    return loss.item()
