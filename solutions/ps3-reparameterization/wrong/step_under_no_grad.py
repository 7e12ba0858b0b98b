""" "Sampling needs no gradient".

Loses: train-step-visible, train-step-hidden
"""

import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits as bce


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    std = torch.exp(0.5 * logvar)
    with torch.no_grad():
        noise = torch.randn(mu.shape, generator=generator, dtype=mu.dtype)
        z = mu + std * noise
    misfit = bce(decoder(z), x, reduction="none").sum(1).mean()
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    kl = kl_divergence(Normal(mu, std), prior).sum(1).mean()
    loss = misfit + kl
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.item()
