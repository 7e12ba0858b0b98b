"""One code for all images.

Loses: generate-visible, generate-hidden
"""

import torch


def generate(model, n, generator=None):
    found, p = model.training, next(model.parameters())
    z = torch.randn(1, model.latent_dim, generator=generator, dtype=p.dtype)
    z = z.repeat(n, 1)
    model.eval()
    with torch.no_grad():
        out = torch.sigmoid(model.decoder(z))
    model.train(found)
    return out
