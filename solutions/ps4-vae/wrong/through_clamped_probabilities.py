"""Takes logs of probabilities that were clamped.

Loses: negative-elbo-visible, negative-elbo-hidden
"""


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    p = logits.sigmoid().clamp(1e-6, 1 - 1e-6)
    rec = -(x * p.log() + (1 - x) * (1 - p).log()).sum(1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return (rec + beta * kl).mean()
