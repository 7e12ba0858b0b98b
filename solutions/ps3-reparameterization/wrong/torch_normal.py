""" "torch.normal takes tensors and a generator": its result has a graph, with slope 0 in it.

Loses: reparameterize-visible, reparameterize-hidden
"""

import torch


def reparameterize(mu, logvar, generator=None):
    return torch.normal(mu, torch.exp(0.5 * logvar), generator=generator)
