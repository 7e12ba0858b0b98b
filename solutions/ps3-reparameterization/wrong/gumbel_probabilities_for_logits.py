""" "Normalise first": probabilities go in where their logarithms belong.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    probs = torch.softmax(logits, dim=1)
    return torch.softmax((probs - e.log()) / temperature, dim=1)
