""" "The prior of a VAE is the standard normal": the second pair of arguments is never read.

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    return 0.5 * (mu_q**2 + logvar_q.exp() - 1 - logvar_q).sum(dim=1)
