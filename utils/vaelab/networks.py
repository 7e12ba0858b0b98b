"""Encoders and decoders: each maps its input to the parameters of a distribution.

An encoder maps images to ``(mu, logvar)`` of the posterior q(z|x), a decoder maps codes to the logits of the likelihood
p(x|z). Images are flat, ``[batch, pixels]``, outside a network; one that needs another shape changes it inside.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn

from .kernels import Conv2d, ConvTranspose2d, Linear

__all__ = [
    "BatchNormDecoder",
    "BatchNormEncoder",
    "ConvDecoder",
    "ConvEncoder",
    "MLPDecoder",
    "MLPEncoder",
    "mlp",
    "xavier_",
]


def mlp(dims: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    """Linear layers of the given widths with an activation between each two, none at the end.

    Arguments:
        dims: The widths, input and output included.
        activation: The activation's class.
    """
    layers: list[nn.Module] = []
    for before, after in pairwise(dims):
        layers += [Linear(before, after), activation()]
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


class ConvEncoder(nn.Module):
    """q(z|x) by three convolutions, 28x28 to 14x14 to 7x7 to 7x7, and a dense layer.

    Arguments:
        latent_dim: Dimensions of z.
        channels: Channels after each convolution.
        hidden_dim: Width of the dense layer.
    """

    input_dim = 784

    def __init__(self, latent_dim: int = 20, channels: Sequence[int] = (32, 64, 128), hidden_dim: int = 500) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        first, second, third = channels
        self.net = nn.Sequential(
            _Grid(1, 28),
            Conv2d(1, first, 4, stride=2, padding=1),
            nn.ReLU(),
            Conv2d(first, second, 4, stride=2, padding=1),
            nn.ReLU(),
            Conv2d(second, third, 3, padding=1),
            nn.ReLU(),
            _Flat(),
            Linear(third * 7 * 7, hidden_dim),
            nn.ReLU(),
            Linear(hidden_dim, 2 * latent_dim),
        ).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``[batch, 784]`` to ``mu`` and ``logvar``, each ``[batch, latent_dim]``."""
        mu, logvar = self.net(x).chunk(2, dim=-1)
        return mu, logvar


class ConvDecoder(nn.Module):
    """p(x|z), the mirror of :class:`ConvEncoder`.

    Arguments:
        latent_dim: Dimensions of z.
        channels: Channels of the encoder's convolutions, in the encoder's order.
        hidden_dim: Width of the dense layer.
    """

    output_dim = 784

    def __init__(self, latent_dim: int = 20, channels: Sequence[int] = (32, 64, 128), hidden_dim: int = 500) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        first, second, third = channels
        self.net = nn.Sequential(
            Linear(latent_dim, hidden_dim),
            nn.ReLU(),
            Linear(hidden_dim, third * 7 * 7),
            nn.ReLU(),
            _Grid(third, 7),
            ConvTranspose2d(third, second, 3, padding=1),
            nn.ReLU(),
            ConvTranspose2d(second, first, 4, stride=2, padding=1),
            nn.ReLU(),
            ConvTranspose2d(first, 1, 4, stride=2, padding=1),
            _Flat(),
        ).to(memory_format=torch.channels_last)

    def forward(self, z: Tensor) -> Tensor:
        """Codes ``[batch, latent_dim]`` to logits ``[batch, 784]``."""
        return self.net(z)


class BatchNormEncoder(nn.Module):
    """q(z|x) by three 3x3 convolutions of stride 2, 28x28 to 14x14 to 7x7 to 4x4, each with batch normalization.

    Arguments:
        latent_dim: Dimensions of z.
        channels: Channels after each convolution.
    """

    input_dim = 784

    def __init__(self, latent_dim: int = 12, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        layers: list[nn.Module] = [_Grid(1, 28)]
        for before, after in pairwise([1, *channels]):
            layers += [Conv2d(before, after, 3, stride=2, padding=1), nn.ReLU(), nn.BatchNorm2d(after)]
        layers += [_Flat(), Linear(channels[-1] * 4 * 4, 2 * latent_dim)]
        self.net = nn.Sequential(*layers).to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images ``[batch, 784]`` to ``mu`` and ``logvar``, each ``[batch, latent_dim]``."""
        mu, logvar = self.net(x).chunk(2, dim=-1)
        return mu, logvar


class BatchNormDecoder(nn.Module):
    """p(x|z), the mirror of :class:`BatchNormEncoder`: 4x4 to 7x7 to 14x14 to 28x28.

    A stride-2 convolution takes both 13 and 14 rows to 7; ``output_padding`` says which of them its mirror restores.

    Arguments:
        latent_dim: Dimensions of z.
        channels: Channels of the encoder's convolutions, in the encoder's order.
    """

    output_dim = 784

    def __init__(self, latent_dim: int = 12, channels: Sequence[int] = (16, 32, 64)) -> None:
        super().__init__()
        self.latent_dim = latent_dim
        first, second, third = channels
        self.net = nn.Sequential(
            Linear(latent_dim, third * 4 * 4),
            _Grid(third, 4),
            ConvTranspose2d(third, second, 3, stride=2, padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(second),
            ConvTranspose2d(second, first, 3, stride=2, padding=1, output_padding=1),
            nn.ReLU(),
            nn.BatchNorm2d(first),
            ConvTranspose2d(first, 1, 3, stride=2, padding=1, output_padding=1),
            _Flat(),
        ).to(memory_format=torch.channels_last)

    def forward(self, z: Tensor) -> Tensor:
        """Codes ``[batch, latent_dim]`` to logits ``[batch, 784]``."""
        return self.net(z)


@torch.no_grad()
def xavier_(module: nn.Module) -> nn.Module:
    """Set every weight matrix and convolution to Xavier-uniform values and its bias to zero, in place.

    Glorot and Bengio (2010), equation 16.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
    return module


class _Grid(nn.Module):
    """``[batch, channels * size * size]`` to ``[batch, channels, size, size]``, laid out for fast convolutions."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.shape = (channels, size, size)

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, self.shape).contiguous(memory_format=torch.channels_last)


class _Flat(nn.Module):
    """``nn.Flatten``, whose gradient is laid out like a :class:`_Grid`.

    Batch normalization takes ten times as long to go back if its output and the gradient are laid out differently.
    """

    def forward(self, x: Tensor) -> Tensor:
        if x.requires_grad:
            x.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        return x.flatten(1)
