""" "NumPy has a better random generator": no graph survives the trip.

Loses: reparameterize-visible, reparameterize-hidden
"""

import numpy as np
import torch


def reparameterize(mu, logvar, generator=None):
    rng = np.random.default_rng(None if generator is None else generator.initial_seed())
    noise = rng.standard_normal(tuple(mu.shape))
    z = mu.detach().numpy() + np.exp(logvar.detach().numpy() / 2) * noise
    return torch.from_numpy(z).to(mu.dtype)
