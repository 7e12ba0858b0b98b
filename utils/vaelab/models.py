"""The variational autoencoder: a prior, an encoder and a decoder, composed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal

from .networks import MLPDecoder, MLPEncoder

__all__ = ["VAE", "mlp_vae"]


class VAE(nn.Module):
    r"""A variational autoencoder with a standard normal prior, a Gaussian posterior and a Bernoulli likelihood.

    .. math::
        p(z) = \mathcal{N}(0, I), \quad q(z | x) = \mathcal{N}(\mu(x), \operatorname{diag} \sigma^2(x)), \quad
        p(x | z) = \prod_i \operatorname{Bernoulli}(x_i | \operatorname{sigmoid} \ell_i(z))

    Kingma and Welling (2014), section 3 and appendix C.1. Images are given as ``float32`` in [0, 1], flat or not:
    ``[batch, 784]`` or ``[batch, 1, 28, 28]``. What is made from images has their shape, what is made from codes is
    flat.

    Arguments:
        encoder: Maps ``[batch, pixels]`` to ``(mu, logvar)``; has ``input_dim`` and ``latent_dim``.
        decoder: Maps ``[batch, latent_dim]`` to logits ``[batch, pixels]``.

    Examples:
        >>> model = mlp_vae(latent_dim=2)
        >>> logits, mu, logvar = model(torch.rand(5, 784))
        >>> logits.shape, mu.shape
        (torch.Size([5, 784]), torch.Size([5, 2]))
        >>> model.sample(3).shape
        torch.Size([3, 784])
    """

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.latent_dim: int = encoder.latent_dim

    def prior(self) -> Independent:
        """The distribution p(z), of event shape ``[latent_dim]``."""
        zeros = torch.zeros(self.latent_dim, device=self._device)
        return Independent(Normal(zeros, torch.ones_like(zeros)), 1)

    def posterior(self, x: Tensor) -> Independent:
        """The distribution q(z|x), of batch shape ``[batch]`` and event shape ``[latent_dim]``."""
        mu, logvar = self.encode(x)
        return Independent(Normal(mu, (0.5 * logvar).exp()), 1)

    def likelihood(self, z: Tensor) -> Independent:
        """The distribution p(x|z), of batch shape ``[batch]`` and event shape ``[pixels]``.

        Grey pixels lie outside a Bernoulli's support: its arguments are not validated, so that ``log_prob`` is the
        negative binary cross-entropy for them.
        """
        return Independent(Bernoulli(logits=self.decode(z), validate_args=False), 1, validate_args=False)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images to ``mu`` and ``logvar`` of q(z|x), each ``[batch, latent_dim]``.

        Raises:
            TypeError: If ``x`` is not floating point.
            ValueError: If ``x`` is not a batch of images of ``input_dim`` pixels.
        """
        if not x.is_floating_point():
            raise TypeError(f"images must be floating point in [0, 1], got {x.dtype}; divide uint8 pixels by 255")
        if x.dim() < 2 or x[0].numel() != self.encoder.input_dim:
            raise ValueError(
                f"expected a batch of images of {self.encoder.input_dim} pixels, such as "
                f"[batch, {self.encoder.input_dim}], got {list(x.shape)}"
            )
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``[batch, latent_dim]`` to the logits of p(x|z), ``[batch, pixels]``.

        Raises:
            ValueError: If the last dimension of ``z`` is not ``latent_dim``.
        """
        if z.shape[-1] != self.latent_dim:
            raise ValueError(f"expected codes of {self.latent_dim} dimensions, got {list(z.shape)}")
        return self.decoder(z)

    @staticmethod
    def reparameterize(mu: Tensor, logvar: Tensor, generator: torch.Generator | None = None) -> Tensor:
        r"""Draw :math:`z = \mu + \sigma \odot \varepsilon`, differentiable in both; Kingma and Welling (2014), 2.4.

        Arguments:
            mu: Means, of any shape.
            logvar: Log-variances, of the same shape.
            generator: The source of the noise, which is drawn on the generator's device: a CPU generator gives the
                same noise on every device.
        """
        device = generator.device if generator is not None else mu.device
        noise = torch.randn(mu.shape, dtype=mu.dtype, device=device, generator=generator)
        return mu + (0.5 * logvar).exp() * noise.to(mu.device)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw one code per image, decode: ``(logits, mu, logvar)``, the logits shaped like ``x``."""
        mu, logvar = self.encode(x)
        logits = self.decode(self.reparameterize(mu, logvar, generator))
        return logits.view_as(x), mu, logvar

    def sample(self, n: int = 16, generator: torch.Generator | None = None) -> Tensor:
        """Pixel means of ``n`` codes drawn from the prior, ``[n, pixels]`` in [0, 1]."""
        with self.evaluating():
            zeros = torch.zeros(n, self.latent_dim, device=self._device)
            return self.decode(self.reparameterize(zeros, zeros, generator)).sigmoid()

    def reconstruct(self, x: Tensor) -> Tensor:
        """Pixel means decoded from the posterior mean of each image, shaped like ``x``."""
        with self.evaluating():
            return self.decode(self.encode(x)[0]).sigmoid().view_as(x)

    def interpolate(self, x0: Tensor, x1: Tensor, steps: int = 10) -> Tensor:
        """Pixel means along the line between the posterior means of two images, ends included: ``[steps, pixels]``.

        Arguments:
            x0: One image, of any shape with the right number of pixels.
            x1: Another.
            steps: How many images, at least 2.

        Raises:
            ValueError: If ``steps`` is below 2.
        """
        if steps < 2:
            raise ValueError(f"an interpolation has two ends: steps must be at least 2, got {steps}")
        with self.evaluating():
            (z0, z1), _ = self.encode(torch.stack([x0.flatten(), x1.flatten()]))
            weight = torch.linspace(0, 1, steps, device=z0.device, dtype=z0.dtype)[:, None]
            return self.decode(torch.lerp(z0, z1, weight)).sigmoid()

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    @contextmanager
    def evaluating(self) -> Iterator[None]:
        """Evaluation mode without gradients, and back to the mode found."""
        training = self.training
        self.eval()
        try:
            with torch.no_grad():
                yield
        finally:
            self.train(training)


def mlp_vae(
    input_dim: int = 784,
    hidden_dims: Sequence[int] = (400,),
    latent_dim: int = 20,
    activation: type[nn.Module] = nn.ReLU,
) -> VAE:
    """A VAE of two multilayer perceptrons, the decoder's hidden layers mirroring the encoder's.

    The default is the classic 784-400-20 model.
    """
    hidden = tuple(hidden_dims)
    return VAE(
        MLPEncoder(input_dim, hidden, latent_dim, activation),
        MLPDecoder(latent_dim, hidden[::-1], input_dim, activation),
    )
