"""Sets the global seed from the generator's.

Loses: generate-hidden
"""

import torch


def generate(model, n, generator=None):
    found, p = model.training, next(model.parameters())
    if generator is not None:
        torch.manual_seed(generator.initial_seed())
    z = torch.randn(n, model.latent_dim, dtype=p.dtype)
    model.eval()
    with torch.no_grad():
        out = torch.sigmoid(model.decoder(z))
    model.train(found)
    return out
