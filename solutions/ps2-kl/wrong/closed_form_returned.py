""" "It must come out the same, so return the exact value": no sample is drawn.

Loses: kl-monte-carlo-visible, kl-monte-carlo-hidden
"""


def kl_monte_carlo(mu, logvar, n_samples, generator=None):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
