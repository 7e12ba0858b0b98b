""" "beta multiplies the KL, so only the reduction of the KL matters".

Loses: effective-beta-visible, effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    for reduction in (reconstruction_reduction, kl_reduction):
        if reduction not in ("sum", "mean"):
            raise ValueError(reduction)
    return 1 / n_latent if kl_reduction == "mean" else 1.0
