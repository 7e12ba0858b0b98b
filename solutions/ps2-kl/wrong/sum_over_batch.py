""" "dim=0 is the first thing to sum over": the batch goes, the latent dimensions stay.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=0)
