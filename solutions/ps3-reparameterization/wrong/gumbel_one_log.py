""" "-log of a uniform": that is exponential, not Gumbel.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    u = torch.rand(logits.shape, generator=generator, dtype=logits.dtype)
    return torch.softmax((logits - torch.log(u + 1e-20)) / temperature, dim=1)
