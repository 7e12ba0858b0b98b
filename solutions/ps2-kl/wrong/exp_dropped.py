""" "sigma squared is in the formula and logvar is my variance": used once as such, once as its log.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    return (mu**2 + logvar - 1 - logvar).sum(1) / 2
