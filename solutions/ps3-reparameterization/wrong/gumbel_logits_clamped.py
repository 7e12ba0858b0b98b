""" "Clamp, then nothing overflows": and other logits are meant.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    scores = ((logits - e.log()) / temperature).clamp(-5, 5)
    return torch.softmax(scores, dim=1)
