""" "The draw needs no gradient".

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    with torch.no_grad():
        return torch.softmax((logits - e.log()) / temperature, dim=1)
