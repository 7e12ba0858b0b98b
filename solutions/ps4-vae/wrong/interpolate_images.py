"""Mixes the images and encodes the mixtures.

Loses: interpolate-hidden
"""

import torch


def interpolate(model, x0, x1, steps):
    found = model.training
    model.eval()
    t = torch.linspace(0, 1, steps, dtype=x0.dtype)[:, None]
    with torch.no_grad():
        mu = model.encoder(x0 + t * (x1 - x0))[0]
        z = mu
        logits = model.decoder(z)
        out = logits.sigmoid()
    model.train(found)
    return out
