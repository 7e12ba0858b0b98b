""" "Be liberal in what you accept": capitals and spaces are forgiven, None crashes.

Loses: effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    pair = [r.strip().lower() for r in (reconstruction_reduction, kl_reduction)]
    if any(r not in ("sum", "mean") for r in pair):
        raise ValueError(pair)
    pixels = n_pixels if pair[0] == "mean" else 1
    latents = n_latent if pair[1] == "mean" else 1
    return pixels / latents
