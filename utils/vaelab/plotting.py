"""Every figure that the book draws twice, in one style.

Figures are transparent vector graphics with one palette; the book's stylesheet inverts them on a dark page. Pictures of
digits are the exception: they are marked ``photo`` on the page and shown as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .models import VAE

__all__ = ["COLORS", "curves", "grid", "latent_scatter", "manifold", "pairs", "rows", "style", "training_history"]

# The same thing has the same colour everywhere. Okabe and Ito's palette, safe for colour-blind readers.
COLORS = {
    "encoder": "#0072B2",
    "posterior": "#0072B2",
    "decoder": "#D55E00",
    "prior": "#009E73",
    "reconstruction": "#D55E00",
    "kl": "#CC79A7",
    "loss": "#555555",
    "exact": "#555555",
}
CYCLE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#555555"]


def style() -> None:
    """Use the book's style from here on: sizes, palette, and in a notebook transparent SVG with reproducible ids."""
    mpl.rcParams.update(
        {
            "figure.figsize": (6.0, 3.2),
            "figure.constrained_layout.use": True,
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "savefig.transparent": True,
            "axes.facecolor": "none",
            "axes.prop_cycle": mpl.cycler(color=CYCLE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "font.size": 10.0,
            "legend.frameon": False,
            "lines.linewidth": 1.8,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "svg.hashsalt": "vaelab",
        }
    )
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    if get_ipython() is None:  # to set the formats would start a shell
        return
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    set_matplotlib_formats("svg", metadata={"Date": None})


def grid(images: Tensor, columns: int = 10, ax: Axes | None = None) -> Figure:
    """Images side by side, in rows.

    Arguments:
        images: Pixel values in [0, 1], ``[n, pixels]`` or ``[n, height, width]``; square if flat.
        columns: Images per row.
        ax: Where to draw; by default a new figure of a fitting size.
    """
    tiles = _square(images)
    n, height, width = tiles.shape
    rows = -(-n // columns)
    blank = tiles.new_zeros(rows * columns - n, height, width)
    tiles = torch.cat([tiles, blank]).view(rows, columns, height, width)
    if ax is None:
        size = min(0.62, 6.2 / columns)
        ax = plt.figure(figsize=(size * columns, size * rows), layout="none").add_axes((0, 0, 1, 1))
    picture = tiles.permute(0, 2, 1, 3).reshape(rows * height, columns * width)
    ax.imshow(picture.numpy(), vmin=0, vmax=1)
    ax.set_axis_off()
    return ax.figure


def pairs(images: Tensor, reconstructions: Tensor) -> Figure:
    """Images above their reconstructions, ``[n, pixels]`` each."""
    return grid(torch.cat([images, reconstructions]), columns=len(images))


def rows(images: Sequence[Tensor], labels: Sequence[str], title: str = "") -> Figure:
    """Rows of images, each with a label to its left.

    Arguments:
        images: One tensor per row, ``[n, pixels]`` or ``[n, height, width]`` in [0, 1], all of one shape.
        labels: What each row shows.
        title: What the figure shows, above the rows.

    Raises:
        ValueError: If there are not as many labels as rows.
    """
    if len(images) != len(labels):
        raise ValueError(f"each row needs a label: there are {len(images)} rows and {len(labels)} labels")
    columns, size = len(images[0]), 0.62
    figure, ax = plt.subplots(figsize=(size * columns + 0.08 * max(map(len, labels)), size * len(images) + 0.3))
    grid(torch.cat([_square(row) for row in images]), columns=columns, ax=ax)
    height = _square(images[0]).shape[1]
    ax.set_axis_on()
    ax.set_xticks([])
    ax.set_yticks([(row + 0.5) * height - 0.5 for row in range(len(images))], labels)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.set_title(title, size="small")
    return figure


def training_history(history: list[dict[str, float]]) -> Figure:
    """-ELBO, reconstruction and KL by epoch, each in its own axes, from what :func:`vaelab.training.fit` returns.

    Training and validation -ELBO are drawn without weights, so that they can be compared; where the minimised loss
    differs (beta, annealing, free bits) it is drawn beside them.
    """
    figure, axes = plt.subplots(1, 3, figsize=(9, 2.8))
    epochs = range(1, len(history) + 1)
    elbo = [h["reconstruction"] + h["kl"] for h in history]
    axes[0].plot(epochs, elbo, ".-", color=CYCLE[0], label="training")
    if "validation" in history[0]:
        axes[0].plot(epochs, [h["validation"] for h in history], ".-", color=CYCLE[1], label="validation")
    if any(abs(h["loss"] - total) > 1e-3 * abs(total) for h, total in zip(history, elbo, strict=True)):
        axes[0].plot(epochs, [h["loss"] for h in history], "--", color=COLORS["loss"], label="minimised (weighted)")
    figure.legend(loc="outside lower center", ncols=3)
    for ax, name in zip(axes[1:], ("reconstruction", "kl"), strict=True):
        ax.plot(epochs, [h[name] for h in history], ".-", color=COLORS[name])
    whole = "total: −ELBO" if any(h["kl"] for h in history) else "total"  # an autoencoder has no ELBO
    for ax, title in zip(axes, (whole, "reconstruction", "KL"), strict=True):
        ax.set(title=title, xlabel="epoch", xlim=(0.5, len(history) + 0.5))
        ax.xaxis.get_major_locator().set_params(integer=True)
    axes[0].set_ylabel("nats per image")
    return figure


def curves(history: list[dict[str, float]], axes: tuple[Axes, Axes] | None = None) -> Figure:
    """The loss and its two terms by epoch, from what :func:`vaelab.training.fit` returns."""
    if axes is None:
        _, axes = plt.subplots(1, 2, figsize=(7, 2.8))
    epochs = range(1, len(history) + 1)
    for name in ("loss", "validation"):
        if name in history[0]:
            label = {"loss": "training", "validation": "validation"}[name]
            axes[0].plot(epochs, [h[name] for h in history], ".-", label=label)
    axes[0].set(title="−ELBO", xlabel="epoch", ylabel="nats per image")
    axes[0].legend()
    for name in ("reconstruction", "kl"):
        axes[1].plot(epochs, [h[name] for h in history], ".-", color=COLORS[name], label=name)
    axes[1].set(title="its two terms", xlabel="epoch", ylim=(0, None))
    axes[1].legend()
    for ax in axes:
        ax.xaxis.get_major_locator().set_params(integer=True)
    return axes[0].figure


def latent_scatter(mu: Tensor, labels: Tensor, ax: Axes | None = None) -> Figure:
    """Two-dimensional posterior means, coloured by digit, each class named at its median.

    Arguments:
        mu: ``[n, 2]``.
        labels: The digits, ``[n]``.
        ax: Where to draw; by default a new figure.
    """
    if mu.shape[1] != 2:
        raise ValueError(f"a plane needs 2 latent dimensions, got {mu.shape[1]}")
    if ax is None:
        _, ax = plt.subplots(figsize=(5, 5))
    ax.scatter(*mu.T, c=labels, s=3, cmap="tab10", vmin=-0.5, vmax=9.5, alpha=0.6, rasterized=True)
    for digit in labels.unique():
        x, y = mu[labels == digit].median(0).values.tolist()
        ax.text(
            x,
            y,
            str(digit.item()),
            ha="center",
            va="center",
            weight="bold",
            bbox={"boxstyle": "circle", "fc": "white", "ec": "black"},
        )
    ax.set(xlabel="$z_1$", ylabel="$z_2$", aspect="equal")
    return ax.figure


def manifold(model: VAE, side: int = 20, ax: Axes | None = None) -> Figure:
    """What a model with a 2-D latent space decodes on a grid of equal prior probability.

    Rows and columns lie at the quantiles of the standard normal, so that every tile stands for the same share of prior
    samples; Kingma and Welling (2014), figure 4.
    """
    if model.latent_dim != 2:
        raise ValueError(f"a plane needs 2 latent dimensions, the model has {model.latent_dim}")
    share = (torch.arange(side) + 0.5) / side
    axis = torch.distributions.Normal(0.0, 1.0).icdf(share)
    z2, z1 = torch.meshgrid(axis.flip(0), axis, indexing="ij")
    with model.evaluating():
        tiles = model.decode(torch.stack([z1.flatten(), z2.flatten()], 1)).sigmoid()
    if ax is None:
        ax = plt.figure(figsize=(5.6, 5.6), layout="none").add_axes((0, 0, 1, 1))
    return grid(tiles, columns=side, ax=ax)


def _square(images: Tensor) -> Tensor:
    if images.dim() == 2:
        side = round(images.shape[1] ** 0.5)
        images = images.view(-1, side, side)
    return images.detach().cpu().float()
