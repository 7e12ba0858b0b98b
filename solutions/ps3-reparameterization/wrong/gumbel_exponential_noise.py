""" "Exponential noise has the right tail": one logarithm is missing.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    return torch.softmax((logits + e) / temperature, dim=1)
