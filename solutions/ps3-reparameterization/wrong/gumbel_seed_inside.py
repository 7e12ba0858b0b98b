""" "Reproducible, please".

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    torch.manual_seed(0)
    e = torch.empty_like(logits).exponential_()
    return torch.softmax((logits - e.log()) / temperature, dim=1)
