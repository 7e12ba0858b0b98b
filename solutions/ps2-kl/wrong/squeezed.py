""" "Drop the axes of length one to be sure that the shape is clean": a batch of one loses its axis.

Loses: kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
    return kl.squeeze()
