""" "Mean and mean is consistent, so beta is 1": they are means over different axes.

Loses: effective-beta-visible, effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    for reduction in (reconstruction_reduction, kl_reduction):
        if reduction not in ("sum", "mean"):
            raise ValueError(reduction)
    if reconstruction_reduction == kl_reduction:
        return 1.0
    return n_pixels if reconstruction_reduction == "mean" else 1 / n_latent
