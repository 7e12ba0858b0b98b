""" "A softmax with a temperature": nothing is drawn.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    return torch.softmax(logits / temperature, dim=1)
