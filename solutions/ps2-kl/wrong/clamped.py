""" "exp overflows, so clamp logvar to be safe": right where nobody needs it, wrong beyond.

Loses: kl-standard-normal-hidden
"""


def kl_standard_normal(mu, logvar):
    logvar = logvar.clamp(-10, 10)
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(dim=1)
