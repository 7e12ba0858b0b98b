"""Without a generator, always the same images.

Loses: generate-hidden
"""

import torch


def generate(model, n, generator=None):
    found, p = model.training, next(model.parameters())
    if generator is None:
        generator = torch.Generator().manual_seed(0)
    z = torch.randn(n, model.latent_dim, generator=generator, dtype=p.dtype)
    model.eval()
    with torch.no_grad():
        out = torch.sigmoid(model.decoder(z))
    model.train(found)
    return out
