""" "The variance is a weight here, not something to train": it is detached.

Loses: kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    var = logvar.exp().detach()
    return 0.5 * (mu**2 + var - 1 - logvar).sum(dim=1)
