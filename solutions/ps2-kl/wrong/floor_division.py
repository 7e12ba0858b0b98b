""" "These are integers, so // it is".

Loses: effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    for reduction in (reconstruction_reduction, kl_reduction):
        if reduction not in ("sum", "mean"):
            raise ValueError(reduction)
    pixels = n_pixels if reconstruction_reduction == "mean" else 1
    latents = n_latent if kl_reduction == "mean" else 1
    return float(pixels // latents)
