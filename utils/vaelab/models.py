"""The variational autoencoder: a prior, an encoder and a decoder, composed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, Independent, Normal

from .data import Images
from .kernels import draw_and_kl
from .networks import BatchNormDecoder, BatchNormEncoder, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder
from .objectives import bernoulli_nll, squared_error

__all__ = ["VAE", "Autoencoder", "batchnorm_vae", "conv_vae", "mean_image_bias_", "mlp_vae"]


class VAE(nn.Module):
    r"""A variational autoencoder with a standard normal prior and a Gaussian posterior.

    .. math::
        p(z) = \mathcal{N}(0, I), \quad q(z | x) = \mathcal{N}(\mu(x), \operatorname{diag} \sigma^2(x)), \quad
        p(x | z) = \prod_i \operatorname{Bernoulli}(x_i | \operatorname{sigmoid} \ell_i(z))

    Kingma and Welling (2014), section 3 and appendix C.1. Images are given as ``float32`` in [0, 1], flat or not:
    ``[batch, 784]`` or ``[batch, 1, 28, 28]``. What is made from images has their shape, what is made from codes is
    flat.

    Arguments:
        encoder: Maps ``[batch, pixels]`` to ``(mu, logvar)``; has ``input_dim`` and ``latent_dim``.
        decoder: Maps ``[batch, latent_dim]`` to logits ``[batch, pixels]``.
        likelihood: "bernoulli", or "gaussian" for pixels of mean ``sigmoid(logits)`` and variance 1/2, whose
            negative log-density is the summed squared error and a constant.

    Raises:
        ValueError: If there is no such likelihood, or encoder and decoder disagree on ``latent_dim``.

    Examples:
        >>> model = mlp_vae(latent_dim=2)
        >>> logits, mu, logvar = model(torch.rand(5, 784))
        >>> logits.shape, mu.shape
        (torch.Size([5, 784]), torch.Size([5, 2]))
        >>> model.sample(3).shape
        torch.Size([3, 784])
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        likelihood: Literal["bernoulli", "gaussian"] = "bernoulli",
    ) -> None:
        super().__init__()
        if likelihood not in ("bernoulli", "gaussian"):
            raise ValueError(f'likelihood must be "bernoulli" or "gaussian", got {likelihood!r}')
        if encoder.latent_dim != decoder.latent_dim:
            raise ValueError(
                f"the encoder's codes have {encoder.latent_dim} dimensions, the decoder's {decoder.latent_dim}"
            )
        self.encoder, self.decoder = encoder, decoder
        self.latent_dim: int = encoder.latent_dim
        self.family = likelihood

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
        logits = self.decode(z)
        if self.family == "gaussian":
            return Independent(Normal(logits.sigmoid(), 0.5**0.5), 1)
        return Independent(Bernoulli(logits=logits, validate_args=False), 1, validate_args=False)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Images to ``mu`` and ``logvar`` of q(z|x), each ``[batch, latent_dim]``.

        Raises:
            TypeError: If ``x`` is not a tensor of the weights' dtype.
            ValueError: If ``x`` is not a batch of images of ``input_dim`` pixels in [0, 1].
        """
        self._check_images(x)
        return self.encoder(x.flatten(1))

    def decode(self, z: Tensor) -> Tensor:
        """Codes ``[batch, latent_dim]`` to the logits of p(x|z), ``[batch, pixels]``.

        Further dimensions in front are kept.

        Raises:
            TypeError: If ``z`` is not a tensor of the weights' dtype.
            ValueError: If ``z`` is not a batch of codes of ``latent_dim`` dimensions.
        """
        self._check_dtype("codes", z)
        if z.dim() < 2 or z.shape[-1] != self.latent_dim:
            raise ValueError(
                f"expected a batch of codes of {self.latent_dim} dimensions, [batch, {self.latent_dim}], "
                f"got {list(z.shape)}"
            )
        return self.decoder(z.flatten(0, -2)).unflatten(0, z.shape[:-1])

    @staticmethod
    def reparameterize(mu: Tensor, logvar: Tensor, generator: torch.Generator | None = None) -> Tensor:
        r"""Draw :math:`z = \mu + \sigma \odot \varepsilon`, differentiable in both; Kingma and Welling (2014), 2.4.

        Arguments:
            mu: Means, of any shape.
            logvar: Log-variances, of the same shape.
            generator: The source of the noise, which is drawn on the generator's device: a CPU generator gives the
                same noise on every device.
        """
        return mu + (0.5 * logvar).exp() * VAE._noise(mu, generator)

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode, draw one code per image, decode: ``(logits, mu, logvar)``, the logits shaped like ``x``."""
        mu, logvar = self.encode(x)
        logits = self.decode(self.reparameterize(mu, logvar, generator))
        return logits.view_as(x), mu, logvar

    def terms(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """The two terms of -ELBO with one code per image, differentiable and unchecked: what training minimises.

        Arguments:
            x: Images in [0, 1], ``[batch, pixels]``, as :meth:`.data.Images.batches` yields them.
            generator: The source of the codes' noise.

        Returns:
            The reconstruction term, ``[batch]``, and the KL in each latent dimension, ``[batch, latent_dim]``, in nats.
        """
        # Under autocast a wide network's output is rounded.
        mu, logvar = (part.to(x.dtype) for part in self.encoder(x))
        z, kl = draw_and_kl(mu, logvar, self._noise(mu, generator))
        return self._reconstruction(self.decoder(z), x), kl

    def sample(self, n: int = 16, generator: torch.Generator | None = None) -> Tensor:
        """Pixel means of ``n`` codes drawn from the prior, ``[n, pixels]`` in [0, 1].

        Raises:
            ValueError: If ``n`` is negative.
        """
        if n < 0:
            raise ValueError(f"the number of samples must not be negative, got {n}")
        with self.evaluating():
            zeros = torch.zeros(n, self.latent_dim, device=self._device, dtype=self._dtype)
            return self.decode(self.reparameterize(zeros, zeros, generator)).sigmoid()

    def reconstruct(self, x: Tensor) -> Tensor:
        """Pixel means decoded from the posterior mean of each image, shaped like ``x``."""
        with self.evaluating():
            return self.decode(self.encode(x)[0]).sigmoid().view_as(x)

    def interpolate(self, x0: Tensor, x1: Tensor, steps: int = 10, spherical: bool = False) -> Tensor:
        r"""Pixel means along a path between the posterior means of two images, ends included: ``[steps, pixels]``.

        Arguments:
            x0: One image, of any shape with the right number of pixels.
            x1: Another.
            steps: How many images, at least 2.
            spherical: Turn from one code to the other at an even rate, :math:`z_t = (\sin((1 - t) \omega) z_0 +
                \sin(t \omega) z_1) / \sin \omega` with the angle :math:`\omega` between them (Shoemake, 1985;
                White, 2016), instead of going straight.

        Raises:
            ValueError: If ``steps`` is below 2.
        """
        if steps < 2:
            raise ValueError(f"an interpolation has two ends: steps must be at least 2, got {steps}")
        with self.evaluating():
            (z0, z1), _ = self.encode(torch.stack([x0.flatten(), x1.flatten()]))
            t = torch.linspace(0, 1, steps, device=z0.device, dtype=z0.dtype)[:, None]
            return self.decode(_turn(z0, z1, t) if spherical else torch.lerp(z0, z1, t)).sigmoid()

    def traverse(self, x: Tensor, dimension: int, steps: int = 10, span: float = 3.0) -> Tensor:
        """Pixel means along one latent dimension through the posterior mean of an image: ``[steps, pixels]``.

        Arguments:
            x: One image, of any shape with the right number of pixels.
            dimension: The latent dimension that changes, from 0; the others stay.
            steps: How many images.
            span: The dimension goes evenly from ``-span`` to ``span``, in standard deviations of the prior.

        Raises:
            ValueError: If there is no such dimension, or ``steps`` is below 1.
        """
        if not 0 <= dimension < self.latent_dim:
            raise ValueError(f"dimension must be between 0 and {self.latent_dim - 1}, got {dimension}")
        if steps < 1:
            raise ValueError(f"steps must be at least 1, got {steps}")
        with self.evaluating():
            z = self.encode(x.reshape(1, -1))[0].repeat(steps, 1)
            z[:, dimension] = torch.linspace(-span, span, steps)
            return self.decode(z).sigmoid()

    @staticmethod
    def _noise(mu: Tensor, generator: torch.Generator | None) -> Tensor:
        device = generator.device if generator is not None else mu.device
        return torch.randn(mu.shape, dtype=mu.dtype, device=device, generator=generator).to(mu.device)

    def _reconstruction(self, logits: Tensor, x: Tensor) -> Tensor:
        logits = logits.to(x.dtype)  # under autocast they are rounded
        return squared_error(logits, x) if self.family == "gaussian" else bernoulli_nll(logits, x)

    def _check_images(self, x: Tensor) -> None:
        self._check_dtype("images", x)
        pixels = self.encoder.input_dim
        if x.dim() < 2 or x.shape[1:].numel() != pixels:
            raise ValueError(
                f"expected a batch of images of {pixels} pixels, such as [batch, {pixels}], got {list(x.shape)}"
            )
        if x.numel():
            low, high = (end.item() for end in x.detach().aminmax())
            if not (low >= 0 and high <= 1):
                raise ValueError(f"expected pixels in [0, 1], got values from {low:.4g} to {high:.4g}")

    def _check_dtype(self, what: str, given: Tensor) -> None:
        if not isinstance(given, Tensor):
            raise TypeError(f"{what} must be a tensor, got {type(given).__name__}")
        if given.dtype != self._dtype:
            remedy = "divide uint8 pixels by 255" if given.dtype == torch.uint8 else "convert them with .to(dtype)"
            raise TypeError(f"{what} must be {self._dtype}, as the model's weights are, got {given.dtype}: {remedy}")

    @property
    def _dtype(self) -> torch.dtype:
        return next(self.parameters()).dtype

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


class Autoencoder(VAE):
    """A plain autoencoder of the same networks, for comparison: the code is ``mu``, without noise and without a KL.

    It is trained and measured by the same functions; its loss is its reconstruction term. The half of the encoder's
    output that would be ``logvar`` is not used.
    """

    def forward(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """Encode and decode: ``(logits, mu, logvar)``, ``logvar`` being minus infinity: the code has no spread."""
        mu, _ = self.encode(x)
        return self.decode(mu).view_as(x), mu, torch.full_like(mu, -torch.inf)

    def terms(self, x: Tensor, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """The reconstruction term, ``[batch]``, and zeros for the KL, ``[batch, latent_dim]``."""
        mu, _ = self.encoder(x)
        return self._reconstruction(self.decoder(mu), x), torch.zeros_like(mu)


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


def conv_vae(latent_dim: int = 20, hidden_dim: int = 500, channels: Sequence[int] = (32, 64, 128)) -> VAE:
    """A convolutional VAE for images of 28x28 with a dense layer on either side of the code, Bernoulli pixels."""
    return VAE(ConvEncoder(latent_dim, channels, hidden_dim), ConvDecoder(latent_dim, channels, hidden_dim))


def batchnorm_vae(latent_dim: int = 12, channels: Sequence[int] = (16, 32, 64)) -> VAE:
    """A convolutional VAE for images of 28x28 with batch normalization, Gaussian pixels of variance 1/2."""
    return VAE(BatchNormEncoder(latent_dim, channels), BatchNormDecoder(latent_dim, channels), "gaussian")


@torch.no_grad()
def mean_image_bias_(model: VAE, images: Images) -> VAE:
    """Let a fresh decoder start from the mean image, in place: its last bias becomes the logit of each pixel's mean.

    A transposed convolution has one bias for all pixels, which becomes the logit of the mean pixel. Means are kept
    within [0.001, 0.999].
    """
    bias = [module.bias for module in model.decoder.modules() if hasattr(module, "bias")][-1]
    mean = images.pixels.flatten(1).double().mean(0) / 255
    bias.copy_((mean if len(bias) == len(mean) else mean.mean(0, keepdim=True)).logit(eps=1e-3))
    return model


def _turn(z0: Tensor, z1: Tensor, t: Tensor) -> Tensor:
    """Spherical interpolation of two codes ``[latent_dim]`` at ``t`` ``[steps, 1]``; straight where it is undefined."""
    angle = torch.arccos(torch.cosine_similarity(z0, z1, dim=0).clamp(-1, 1))
    if angle.sin().abs() < 1e-4:
        return torch.lerp(z0, z1, t)
    return (torch.sin((1 - t) * angle) * z0 + torch.sin(t * angle) * z1) / angle.sin()
