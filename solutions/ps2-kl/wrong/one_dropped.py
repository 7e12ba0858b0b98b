""" "A constant has no gradient, so the 1 may go": but this is the divergence, not only its
gradient.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    return (mu**2 + logvar.exp() - logvar).sum(1) / 2
