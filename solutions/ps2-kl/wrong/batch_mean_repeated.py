""" "The loss is a mean over the batch anyway", so every row gets the mean of all rows.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    per_row = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
    return per_row.mean().expand(len(mu))
