"""A trained model as a script that a browser runs: what the book's latent explorer is given.

The weights travel as float16, half the size of what PyTorch keeps, and the difference cannot be seen: see
:func:`rounded`. The file is a classic script that assigns one object to ``window.latentModel``, so that it loads from a
folder as well as from a server. ``book/_static/latent-explorer.js`` reads it.
"""

from __future__ import annotations

import base64
import copy
import io
import json
import math
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from .data import Images, Splits
from .models import VAE

__all__ = ["PageFiles", "explorer_files", "parse_script", "plane_picture", "rounded"]

MIME = "application/vnd.page-files+json"
"""The type of an output that holds files. Where a page glues one, the book's build puts them beside the pages."""
SCRIPT = "latent-explorer-model.js"
PICTURE = "latent-plane.webp"
CODES = 2_000
"""Test images whose codes are drawn as dots."""
PER_DIGIT = 3
"""Test images of each digit that a reader may choose."""


class PageFiles:
    """Files that are the output of a page's cell, so that they are kept, repeated and forgotten with it.

    Arguments:
        files: Contents by name; text, or bytes for what is no text.
    """

    def __init__(self, files: dict[str, str | bytes]) -> None:
        self.files = files

    def __repr__(self) -> str:
        return "\n".join(f"{name}: {len(data) / 1000:,.0f} kB" for name, data in self.files.items())

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> dict[str, Any]:
        packed = {
            name: {"text": data} if isinstance(data, str) else {"base64": base64.b64encode(data).decode()}
            for name, data in self.files.items()
        }
        return {"text/plain": repr(self), MIME: packed}


def rounded(model: nn.Module) -> nn.Module:
    """A copy of the model whose weights went through float16 and came back: what the browser computes with.

    Raises:
        ValueError: If a weight is too large for float16.
    """
    light = copy.deepcopy(model)
    with torch.no_grad():
        for weight in light.parameters():
            weight.copy_(weight.half())
            if not weight.isfinite().all():
                raise ValueError("a weight is too large for float16")
    return light


def explorer_files(model: VAE, data: Splits, seed: int = 0) -> PageFiles:
    """What the latent explorer needs of a trained model: its script, and a picture for those who do not start it.

    The script holds both networks, the codes of the first test images and their digits, some test images to choose
    from, and percentiles of -ELBO over all test images, one code drawn for each. What is large is packed by zlib: the
    low bytes of all float16 numbers (weights and biases of the encoder's layers, those of the decoder's, the codes),
    then their high bytes, then the test images' pixels.

    Arguments:
        model: A VAE of multilayer perceptrons with GELU between the layers, two latent dimensions, Bernoulli pixels.
        data: Where its test images come from.
        seed: Seed of the codes drawn for -ELBO.

    Raises:
        ValueError: If the model is another one, or a number is too large for float16.
    """
    _check(model)
    test = data.test
    with model.evaluating():
        mu, _ = model.encode(test.x)
    chosen = torch.cat([(test.labels == digit).nonzero()[:PER_DIGIT, 0] for digit in range(10)])
    span = max(3.0, math.ceil(2 * mu.abs().double().quantile(0.99).item()) / 2)
    numbers = torch.cat([weight.detach().flatten() for weight in _weights(model)] + [mu[:CODES].flatten()])
    contents = {
        "source": data.name,
        "span": span,
        "encoder": _sizes(model.encoder),
        "decoder": _sizes(model.decoder),
        "digits": _text(test.labels[:CODES]),
        "medians": [_round(mu[test.labels == digit].median(0).values, 3) for digit in range(10)],
        "images": {"places": chosen.tolist(), "digits": _text(test.labels[chosen])},
        "centre": _round(_centre(test), 1),
        "typical": _typical(model, test, seed),
        "packed": base64.b64encode(zlib.compress(_planes(numbers) + _bytes(test.pixels[chosen]), 9)).decode(),
    }
    script = f"window.latentModel = {json.dumps(contents, separators=(',', ':'))};\n"
    return PageFiles({SCRIPT: script, PICTURE: plane_picture(model, span)})


def parse_script(script: str, model: VAE) -> dict[str, Any]:
    """Read back what :func:`explorer_files` wrote: the weights go into ``model``, the rest is returned.

    Raises:
        ValueError: If the script's layers are not those of the model.
    """
    contents = json.loads(script.removeprefix("window.latentModel = ").rstrip().removesuffix(";"))
    for name in ("encoder", "decoder"):
        if contents[name] != _sizes(getattr(model, name)):
            raise ValueError(f"the {name}'s widths are {contents[name]}, the model's {_sizes(getattr(model, name))}")
    data = np.frombuffer(zlib.decompress(base64.b64decode(contents.pop("packed"))), np.uint8)
    weights = list(_weights(model))
    sizes = [weight.numel() for weight in weights] + [2 * len(contents["digits"])]
    planes = data[: 2 * sum(sizes)].reshape(2, -1)
    values = torch.from_numpy(planes.T.copy().view("<f2").ravel()).float().split(sizes)
    with torch.no_grad():
        for weight, part in zip(weights, values[:-1], strict=True):
            weight.copy_(part.view_as(weight))
    pixels = torch.from_numpy(data[2 * sum(sizes) :].copy()).view(-1, 28, 28)
    return contents | {"codes": values[-1].view(-1, 2), "pixels": pixels}


def plane_picture(model: VAE, span: float, side: int = 15) -> bytes:
    """The latent plane from ``-span`` to ``span`` both ways, decoded on a grid, as a WebP file.

    The first coordinate grows to the right, the second upwards.
    """
    axis = span * ((torch.arange(side) + 0.5) / side * 2 - 1)
    up, right = torch.meshgrid(axis.flip(0), axis, indexing="ij")
    with model.evaluating():
        tiles = model.decode(torch.stack([right.flatten(), up.flatten()], 1)).sigmoid()
    pixels = tiles.view(side, side, 28, 28).transpose(1, 2).reshape(side * 28, side * 28)
    file = io.BytesIO()
    Image.fromarray((pixels * 255).round().byte().numpy()).save(file, "WEBP", quality=60, method=6)
    return file.getvalue()


def _check(model: VAE) -> None:
    if model.latent_dim != 2:
        raise ValueError(f"a plane needs 2 latent dimensions, the model has {model.latent_dim}")
    if model.family != "bernoulli":
        raise ValueError(f"the explorer knows Bernoulli pixels, the model's are {model.family}")
    for network in (model.encoder, model.decoder):
        others = [layer for layer in getattr(network, "net", [network]) if not isinstance(layer, nn.Linear)]
        if not all(isinstance(layer, nn.GELU) and layer.approximate == "none" for layer in others):
            raise ValueError("the explorer knows multilayer perceptrons with exact GELUs only")


def _linear(network: nn.Module) -> list[nn.Linear]:
    return [layer for layer in network.modules() if isinstance(layer, nn.Linear)]


def _weights(model: VAE) -> Iterator[Tensor]:
    """Weight and bias of each layer, the encoder's first."""
    for layer in _linear(model.encoder) + _linear(model.decoder):
        yield from (layer.weight, layer.bias)


def _sizes(network: nn.Module) -> list[int]:
    layers = _linear(network)
    return [layers[0].in_features, *(layer.out_features for layer in layers)]


def _planes(numbers: Tensor) -> bytes:
    """Numbers as float16, all low bytes before all high ones: signs and exponents side by side can be packed."""
    halves = numbers.cpu().half()
    if not halves.isfinite().all():
        raise ValueError("a weight is too large for float16")
    return halves.numpy().astype("<f2").view(np.uint8).reshape(-1, 2).T.tobytes()


def _typical(model: VAE, images: Images, seed: int) -> dict[str, Any]:
    """How many images there are, and percentiles 0 to 100 of their -ELBO."""
    generator = torch.Generator().manual_seed(seed)
    with model.evaluating():
        terms = [model.terms(x, generator) for x, _ in images.batches(1_000)]
    loss = torch.cat([reconstruction + kl.sum(1) for reconstruction, kl in terms]).double()
    return {"count": len(images), "loss": _round(loss.quantile(torch.linspace(0, 1, 101).double()), 2)}


def _centre(images: Images) -> Tensor:
    """Column and row of the mean image's centre of mass; MNIST's lies half a pixel beside the middle."""
    ink = images.pixels.double().mean(0)
    place = torch.arange(28, dtype=torch.float64)
    return torch.stack([ink.sum(0) @ place, ink.sum(1) @ place]) / ink.sum()


def _bytes(pixels: Tensor) -> bytes:
    return pixels.numpy().tobytes()


def _text(labels: Tensor) -> str:
    return "".join(str(digit) for digit in labels.tolist())


def _round(values: Tensor, digits: int) -> list[float]:
    return [round(value, digits) for value in values.tolist()]
