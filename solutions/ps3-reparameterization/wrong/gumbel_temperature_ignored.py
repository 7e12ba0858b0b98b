""" "A softmax is soft enough": the temperature is not used.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    return torch.softmax(logits - e.log(), dim=1)
