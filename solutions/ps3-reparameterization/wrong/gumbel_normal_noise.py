""" "Noise is normal, as ever".

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

import torch


def gumbel_softmax_sample(logits, temperature, generator=None):
    noise = torch.randn(logits.shape, generator=generator, dtype=logits.dtype)
    return torch.softmax((logits + noise) / temperature, dim=1)
