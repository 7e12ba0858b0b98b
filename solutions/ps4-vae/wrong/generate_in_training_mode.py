"""Dropout stays on.

Loses: generate-visible, generate-hidden
"""

import torch


def generate(model, n, generator=None):
    found, p = model.training, next(model.parameters())
    z = torch.randn(n, model.latent_dim, generator=generator, dtype=p.dtype)
    with torch.no_grad():
        out = torch.sigmoid(model.decoder(z))
    return out
