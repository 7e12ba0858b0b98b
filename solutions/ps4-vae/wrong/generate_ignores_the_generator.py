"""Draws from the global generator.

Loses: generate-visible, generate-hidden
"""

import torch


def generate(model, n, generator=None):
    found, p = model.training, next(model.parameters())
    z = torch.randn(n, model.latent_dim, dtype=p.dtype)
    model.eval()
    with torch.no_grad():
        out = torch.sigmoid(model.decoder(z))
    model.train(found)
    return out
