"""Encoders and decoders: each maps its input to the parameters of a distribution.

An encoder maps images to ``(mu, logvar)`` of the posterior q(z|x), a decoder maps codes to the logits of the likelihood
p(x|z). Images are flat, ``[batch, pixels]``, outside a network; one that needs another shape changes it inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from torch import Tensor, nn

__all__ = ["MLPDecoder", "MLPEncoder", "mlp"]


def mlp(dims: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers of the given widths with an activation between each two, none at the end.

    Arguments:
        dims: The widths, input and output included.
        activation: The activation's class.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(dims):
        layers += [nn.Linear(before, after), activation()]
    return nn.Sequential(*layers[:-1])


class MLPEncoder(nn.Module):
    """q(z|x), a diagonal Gaussian whose mean and log-variance a multilayer perceptron computes.

    Arguments:
        input_dim: Pixels per image.
        hidden_dims: Widths of the hidden layers, in order.
        latent_dim: Dimensions of z.
        activation: The activation's class.
    """

    def __init__(
        self,
        input_dim: int = 784,
        hidden_dims: Sequence[int] = (400,),
        latent_dim: int = 20,
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.input_dim, self.latent_dim = input_dim, latent_dim
        self.net = mlp([input_dim, *hidden_dims, 2 * latent_dim], activation)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``[batch, input_dim]`` to ``mu`` and ``logvar``, each ``[batch, latent_dim]``."""
        mu, logvar = self.net(x).chunk(2, dim=-1)
        return mu, logvar


class MLPDecoder(nn.Module):
    """p(x|z), whose logits a multilayer perceptron computes.

    Arguments:
        latent_dim: Dimensions of z.
        hidden_dims: Widths of the hidden layers, in order.
        output_dim: Pixels per image.
        activation: The activation's class.
    """

    def __init__(
        self,
        latent_dim: int = 20,
        hidden_dims: Sequence[int] = (400,),
        output_dim: int = 784,
        activation: type[nn.Module] = nn.ReLU,
    ) -> None:
        super().__init__()
        self.latent_dim, self.output_dim = latent_dim, output_dim
        self.net = mlp([latent_dim, *hidden_dims, output_dim], activation)

    def forward(self, z: Tensor) -> Tensor:
        """Codes ``[batch, latent_dim]`` to logits ``[batch, output_dim]``."""
        return self.net(z)
