""" "A dictionary complains by itself about a wrong key": but with a KeyError.

Loses: effective-beta-visible, effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    pixels = {"sum": 1, "mean": n_pixels}[reconstruction_reduction]
    latents = {"sum": 1, "mean": n_latent}[kl_reduction]
    return pixels / latents
