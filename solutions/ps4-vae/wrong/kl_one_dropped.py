"""The 1 of the closed form is lost.

Loses: negative-elbo-visible, negative-elbo-hidden
"""

from torch.nn import functional as F


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    rec = F.binary_cross_entropy_with_logits(logits, x, reduction="none").sum(1)
    kl = 0.5 * (mu**2 + logvar.exp() - logvar).sum(1)
    return (rec + beta * kl).mean()
