""" "It is in torch.nn.functional": which takes no generator.

Loses: gumbel-softmax-sample-visible, gumbel-softmax-sample-hidden
"""

from torch.nn.functional import gumbel_softmax


def gumbel_softmax_sample(logits, temperature, generator=None):
    return gumbel_softmax(logits, tau=temperature, dim=1)
