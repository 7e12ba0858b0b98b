"""Codes in single precision, whatever the model is.

Loses: generate-hidden
"""

import torch


def generate(model, n, generator=None):
    found, p = model.training, next(model.parameters())
    z = torch.randn(n, model.latent_dim, generator=generator)
    model.eval()
    with torch.no_grad():
        out = torch.sigmoid(model.decoder(z))
    model.train(found)
    return out
