"""From x1 to x0.

Loses: interpolate-visible, interpolate-hidden
"""

import torch


def interpolate(model, x0, x1, steps):
    found = model.training
    model.eval()
    t = torch.linspace(0, 1, steps, dtype=x0.dtype)[:, None]
    with torch.no_grad():
        mu = model.encoder(torch.stack([x0, x1]))[0]
        z = mu[1] + t * (mu[0] - mu[1])
        logits = model.decoder(z)
        out = logits.sigmoid()
    model.train(found)
    return out
