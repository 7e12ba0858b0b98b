""" "The KL in the ELBO": from the prior, not from the posterior.

Loses: elbo-gap-visible, elbo-gap-hidden
"""


def elbo_gap(x, mu, logvar, W, b, s):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
