""" "The KL is divided by n_latent, so beta is n_latent": one over the answer, in every case.

Loses: effective-beta-visible, effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    for reduction in (reconstruction_reduction, kl_reduction):
        if reduction not in ("sum", "mean"):
            raise ValueError(reduction)
    pixels = n_pixels if reconstruction_reduction == "mean" else 1
    latents = n_latent if kl_reduction == "mean" else 1
    return latents / pixels
