""" "Never divide by something that could be zero": a small constant is added to the variance.

Loses: kl-diagonal-gaussians-hidden
"""


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    var_q, var_p = logvar_q.exp(), logvar_p.exp() + 1e-6
    terms = logvar_p - logvar_q + (var_q + (mu_q - mu_p) ** 2) / var_p - 1
    return 0.5 * terms.sum(dim=1)
