""" "The mean over pixels divides by the latent size": the two sizes are mixed up.

Loses: effective-beta-visible, effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    for reduction in (reconstruction_reduction, kl_reduction):
        if reduction not in ("sum", "mean"):
            raise ValueError(reduction)
    pixels = n_latent if reconstruction_reduction == "mean" else 1
    latents = n_pixels if kl_reduction == "mean" else 1
    return pixels / latents
