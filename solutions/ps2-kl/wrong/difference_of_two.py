""" "Measure both against the standard normal and subtract".

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    to_q = 0.5 * (mu_q**2 + logvar_q.exp() - 1 - logvar_q).sum(dim=1)
    to_p = 0.5 * (mu_p**2 + logvar_p.exp() - 1 - logvar_p).sum(dim=1)
    return (to_q - to_p).abs()
