"""The negative ELBO and its two terms, in nats per image: summed over pixels and latent dimensions."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from .kernels import bernoulli_cross_entropy

__all__ = [
    "bernoulli_nll",
    "free_bits",
    "kl_per_dimension",
    "kl_standard_normal",
    "negative_elbo",
    "squared_error",
]


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
    _same_shape(logits, x)
    return bernoulli_cross_entropy(logits, x)


def squared_error(logits: Tensor, x: Tensor) -> Tensor:
    r"""The reconstruction term for Gaussian pixels of mean ``sigmoid(logits)`` and variance 1/2, less its constant.

    .. math::
        -\log \mathcal{N}(x | m, \tfrac{1}{2} I) = \lVert x - m \rVert^2 + \tfrac{d}{2} \log \pi

    for d pixels. The summed squared error is the first part; it equals the negative log-density of no other variance.

    Arguments:
        logits: The decoder's output, ``[batch, ...]``.
        x: The images, of the same shape.

    Returns:
        Nats per image up to :math:`\tfrac{d}{2} \log \pi`, ``[batch]``.

    Raises:
        ValueError: If the shapes differ.
    """
    _same_shape(logits, x)
    return F.mse_loss(logits.sigmoid(), x, reduction="none").flatten(1).sum(1)


def kl_per_dimension(mu: Tensor, logvar: Tensor) -> Tensor:
    """The terms of :func:`kl_standard_normal`, one for each latent dimension: ``[batch, latent_dim]``, in nats."""
    return 0.5 * (mu.square() + logvar.exp() - logvar - 1)


def kl_standard_normal(mu: Tensor, logvar: Tensor) -> Tensor:
    r"""The rate :math:`\mathrm{KL}(\mathcal{N}(\mu, \operatorname{diag} \sigma^2) \,\|\, \mathcal{N}(0, I))`.

    Kingma and Welling (2014), appendix B.

    Arguments:
        mu: Means, ``[batch, latent_dim]``.
        logvar: Logarithms of the variances, of the same shape.

    Returns:
        Nats per image, ``[batch]``.
    """
    return kl_per_dimension(mu, logvar).sum(-1)


def free_bits(kl: Tensor, minimum: float) -> Tensor:
    """The KL with a floor: its mean over the batch, at least ``minimum`` in every latent dimension, then summed.

    Below the floor a dimension costs nothing more and has no gradient. Kingma et al. (2016), appendix C.8.

    Arguments:
        kl: Nats per image and latent dimension, ``[batch, latent_dim]``.
        minimum: The floor, in nats per latent dimension.

    Returns:
        A scalar, in nats per image.
    """
    return kl.mean(0).clamp(min=minimum).sum()


def negative_elbo(logits: Tensor, x: Tensor, mu: Tensor, logvar: Tensor, beta: float = 1.0) -> Tensor:
    r"""Reconstruction term plus ``beta`` times the KL, averaged over the batch: a scalar, in nats per image.

    With ``beta`` = 1 it is a one-sample estimate of -ELBO, Kingma and Welling (2014), equation 7; another weight makes
    it the objective of a beta-VAE, Higgins et al. (2017), equation 4.
    """
    return (bernoulli_nll(logits, x) + beta * kl_standard_normal(mu, logvar)).mean()


def _same_shape(logits: Tensor, x: Tensor) -> None:
    if logits.shape != x.shape:
        raise ValueError(f"logits {list(logits.shape)} and images {list(x.shape)} must have the same shape")
