""" "Deep learning is done in float32": the inputs are converted, and so is the result.

Loses: kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    mu, logvar = mu.float(), logvar.float()
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
