"""Decodes the two ends and mixes the results.

Loses: interpolate-visible, interpolate-hidden
"""

import torch


def interpolate(model, x0, x1, steps):
    found = model.training
    model.eval()
    t = torch.linspace(0, 1, steps, dtype=x0.dtype)[:, None]
    with torch.no_grad():
        mu = model.encoder(torch.stack([x0, x1]))[0]
        ends = model.decoder(mu).sigmoid()
        out = ends[0] + t * (ends[1] - ends[0])
    model.train(found)
    return out
