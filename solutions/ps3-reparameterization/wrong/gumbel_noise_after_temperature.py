""" "The temperature belongs to the logits": the noise is added after the division.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    return torch.softmax(logits / temperature - e.log(), dim=1)
