""" "A category is one-hot": straight-through, with the relaxation only in the gradient.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    y = torch.softmax((logits - e.log()) / temperature, dim=1)
    hard = torch.zeros_like(y).scatter(1, y.argmax(1, keepdim=True), 1.0)
    return hard + y - y.detach()
