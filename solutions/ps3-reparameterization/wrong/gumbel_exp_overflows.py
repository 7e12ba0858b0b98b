""" "A softmax is exp over its sum": which overflows.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    weights = torch.exp((logits - e.log()) / temperature)
    return weights / weights.sum(dim=1, keepdim=True)
