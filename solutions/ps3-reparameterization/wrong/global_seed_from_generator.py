""" "randn_like cannot take a generator, so seed the global one from it".

Loses: reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    if generator is not None:
        seed = torch.randint(2**31, (1,), generator=generator).item()
        torch.manual_seed(seed)
    return mu + torch.exp(0.5 * logvar) * torch.randn_like(mu)
