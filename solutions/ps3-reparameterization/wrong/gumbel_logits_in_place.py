""" "logits -= ... saves memory": and changes the caller's tensor.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    e = torch.empty_like(logits).exponential_(generator=generator)
    with torch.no_grad():
        logits -= e.log()
    return torch.softmax(logits / temperature, dim=1)
