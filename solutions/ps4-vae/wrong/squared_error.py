"""A squared error in place of the cross-entropy.

Loses: negative-elbo-visible, negative-elbo-hidden, train-model-visible
"""


def negative_elbo(logits, x, mu, logvar, beta=1.0):
    rec = (logits.sigmoid() - x).square().sum(1)
    kl = 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1)
    return (rec + beta * kl).mean()
