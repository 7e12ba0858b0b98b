""" "KL(q || p): p is the reference, so the average is over p".

Loses: kl-diagonal-gaussians-visible, kl-diagonal-gaussians-hidden
"""


def kl_diagonal_gaussians(mu_q, logvar_q, mu_p, logvar_p):
    var_q, var_p = logvar_q.exp(), logvar_p.exp()
    terms = logvar_q - logvar_p + (var_p + (mu_q - mu_p) ** 2) / var_q - 1
    return 0.5 * terms.sum(dim=1)
