""" "One noise for each class": shared by all rows.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits[:1]).exponential_(generator=generator)
    return torch.softmax((logits - e.log()) / temperature, dim=1)
