""" "log(pi) stands in the paper": but logits are log(pi) already.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    return torch.softmax((torch.log(logits) - e.log()) / temperature, dim=1)
