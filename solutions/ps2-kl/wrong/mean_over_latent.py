""" "Averages are better scaled than sums", so the latent dimensions are averaged.

Loses: kl-standard-normal-visible, kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).mean(dim=1)
