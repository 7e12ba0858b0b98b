"""Between two draws, not between the means.

Loses: interpolate-visible, interpolate-hidden
"""

import torch


def interpolate(model, x0, x1, steps):
    found = model.training
    model.eval()
    t = torch.linspace(0, 1, steps, dtype=x0.dtype)[:, None]
    with torch.no_grad():
        mu, logvar = model.encoder(torch.stack([x0, x1]))
        mu = mu + (logvar / 2).exp() * torch.randn_like(mu)
        z = mu[0] + t * (mu[1] - mu[0])
        logits = model.decoder(z)
        out = logits.sigmoid()
    model.train(found)
    return out
