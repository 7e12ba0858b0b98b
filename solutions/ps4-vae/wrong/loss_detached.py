"""Makes a new tensor out of the number: no gradient.

Loses: negative-elbo-visible, negative-elbo-hidden, train-model-visible
"""

import torch
from torch.nn import functional as F


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return torch.tensor((rec + beta * kl).mean().item(), dtype=x.dtype)
