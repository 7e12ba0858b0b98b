""" "If it is not a mean, it is a sum": no error for words that mean neither.

Loses: effective-beta-visible, effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    pixels = n_pixels if reconstruction_reduction == "mean" else 1
    latents = n_latent if kl_reduction == "mean" else 1
    return pixels / latents
