"""The negative ELBO and its two terms, in nats per image: summed over pixels and latent dimensions."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

__all__ = ["bernoulli_nll", "kl_standard_normal", "negative_elbo"]


def bernoulli_nll(logits: Tensor, x: Tensor) -> Tensor:
    r"""The reconstruction term :math:`-\log p(x | z)` for Bernoulli pixels: binary cross-entropy summed over pixels.

    For grey ``x`` in [0, 1] it is the same expression, but no longer the log of a probability.

    Arguments:
        logits: The decoder's output, ``[batch, ...]``.
        x: The images in [0, 1], of the same shape.

    Returns:
        Nats per image, ``[batch]``.

    Raises:
        ValueError: If the shapes differ.
    """
    if logits.shape != x.shape:
        raise ValueError(f"logits {list(logits.shape)} and images {list(x.shape)} must have the same shape")
    return binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)


def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""The rate :math:`\mathrm{KL}(\mathcal{N}(\mu, \operatorname{diag} \sigma^2) \,\|\, \mathcal{N}(0, I))`.

    Kingma and Welling (2014), appendix B.

    Arguments:
        mu: Means, ``[batch, latent_dim]``.
        logvar: Logarithms of the variances, of the same shape.

    Returns:
        Nats per image, ``[batch]``.
    """
    return 0.5 * (mu.square() + logvar.exp() - logvar - 1).sum(-1)


def negative_elbo(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    r"""Reconstruction term plus ``beta`` times the KL, averaged over the batch: a scalar, in nats per image.

    With ``beta`` = 1 it is a one-sample estimate of -ELBO, Kingma and Welling (2014), equation 7; another weight makes
    it the objective of a beta-VAE, Higgins et al. (2017), equation 4.
    """
    return (bernoulli_nll(logits, x) + beta * kl_standard_normal(mu, logvar)).mean()
