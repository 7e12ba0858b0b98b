"""Along a great circle: not the straight line.

Loses: interpolate-visible, interpolate-hidden
"""

import torch


def interpolate(model, x0, x1, steps):
    found = model.training
    model.eval()
    t = torch.linspace(0, 1, steps, dtype=x0.dtype)[:, None]
    with torch.no_grad():
        mu = model.encoder(torch.stack([x0, x1]))[0]
        a, b = mu[0], mu[1]
        w = torch.acos((a @ b / (a.norm() * b.norm() + 1e-12)).clamp(-0.999, 0.999))
        z = (torch.sin((1 - t) * w) * a + torch.sin(t * w) * b) / torch.sin(w)
        logits = model.decoder(z)
        out = logits.sigmoid()
    model.train(found)
    return out
