""" "Gumbel-max": an exact category, without a slope.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    winner = (logits - e.log()).argmax(dim=1)
    return torch.nn.functional.one_hot(winner, logits.shape[1]).to(logits.dtype)
