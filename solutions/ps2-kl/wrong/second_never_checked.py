""" "Check the reductions": with "and" where "or" belongs, so that one wrong word slips through.

Loses: effective-beta-visible, effective-beta-hidden
"""


def effective_beta(n_pixels, n_latent, reconstruction_reduction, kl_reduction):
    known = ("sum", "mean")
    if reconstruction_reduction not in known and kl_reduction not in known:
        raise ValueError("unknown reduction")
    pixels = n_pixels if reconstruction_reduction == "mean" else 1
    latents = n_latent if kl_reduction == "mean" else 1
    return pixels / latents
