"""Codes from a uniform distribution on [0, 1).

Loses: generate-visible, generate-hidden
"""

import torch


def generate(model, n, generator=None):
    found, p = model.training, next(model.parameters())
    z = torch.rand(n, model.latent_dim, generator=generator, dtype=p.dtype)
    model.eval()
    with torch.no_grad():
        out = torch.sigmoid(model.decoder(z))
    model.train(found)
    return out
