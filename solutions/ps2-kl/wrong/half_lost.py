""" "It is the sum of four terms"; the one half in front did not survive the copying.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    return (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
