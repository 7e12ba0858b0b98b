""" "rand gives float32, so convert".

Loses: gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    u = torch.rand(logits.shape, generator=generator).clamp_min(1e-30)
    return torch.softmax((logits.float() - torch.log(-torch.log(u))) / temperature, dim=1)
