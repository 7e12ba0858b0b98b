""" "The squared length of mu": its root is taken first, whose gradient at mu = 0 is nan.

Loses: kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    length = (mu**2).sum(1).sqrt()
    return 0.5 * (length**2 + (logvar.exp() - 1 - logvar).sum(1))
