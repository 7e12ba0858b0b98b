""" "It runs, so it is right": the step as it was given.

Loses: train-step-visible, train-step-hidden
"""

import torch
from torch.distributions import Normal, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits as bce


def train_step(encoder, decoder, optimizer, x, generator=None):
    mu, logvar = encoder(x)
    std = torch.exp(0.5 * logvar)
    z = torch.normal(mu, std, generator=generator)
    misfit = bce(decoder(z), x)
    prior = Normal(torch.zeros_like(mu), torch.ones_like(mu))
    kl = kl_divergence(Normal(mu, std), prior).sum(1).mean()
    loss = misfit + kl
    loss.backward()
    optimizer.zero_grad()
    optimizer.step()
    return loss.item()
