"""Every figure of the book in one style: its sizes, its type and its colours are set here and nowhere else.

Figures are transparent vector graphics with one palette; the book's stylesheet inverts them on a dark page. Pictures of
digits are the exception: they are marked ``photo`` on the page and shown as they are.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from torch import Tensor

from .models import VAE

__all__ = [
    "COLORS",
    "CYCLE",
    "FILLED",
    "curves",
    "grid",
    "latent_scatter",
    "manifold",
    "name_lines",
    "pairs",
    "panels",
    "rows",
    "strips",
    "style",
    "training_history",
]

INK = "#222222"
# What has no part to play in a VAE, as the runs of an experiment: colours that stand for nothing else in the book.
CYCLE = ["#5D3A9B", "#9A7B00", "#222222", "#2A8CA8"]
# The same thing has the same colour everywhere. The first four are of Okabe and Ito's palette, safe for colour-blind
# readers; on white and on a dark page every colour has a contrast of 3 or more.
COLORS = {
    "encoder": "#0072B2",
    "posterior": "#0072B2",
    "elbo": "#0072B2",
    "decoder": "#D55E00",
    "reconstruction": "#D55E00",
    "prior": "#009E73",
    "kl": "#CC79A7",
    "gap": "#CC79A7",
    "loss": "#555555",
    "exact": "#555555",
    "muted": "#888888",
    "ink": INK,
    "paper": "#EDEDED",  # inverted, the ground of a dark page
    "pathwise": CYCLE[0],
    "score": CYCLE[1],
    "baseline": CYCLE[3],
}
DIGITS = ["#4B3FA8", "#2B8FC0", "#2F9484", "#117733", "#85851F", "#B8860B", "#CC6677", "#882255", "#AA4499", "#707070"]
"""The digits from 0 to 9, here and in the latent explorer: after Paul Tol's muted palette, for colour-blind readers."""
FILLED: dict[str, object] = {"color": "#B8B8B8", "linewidth": 0}
"""How an area is filled that the curves over it are compared with, as an exact posterior."""

PIXEL = 1 / 96
"""Inches of a pixel of a page."""
TILE = 56 * PIXEL
"""The side of a digit, inches: two pixels of the page for each of its own, so that it is crisp."""
WIDTH = 10 * TILE
"""The width of every figure, inches: ten digits. On a phone its type is still legible."""
HEIGHTS = {"low": 2.3, "normal": 2.8, "high": 3.9, "page": 7.0}


def style() -> None:
    """Use the book's style from here on: sizes, palette, and in a notebook transparent SVG with reproducible ids."""
    mpl.rcParams.update(
        {
            "figure.figsize": (WIDTH, HEIGHTS["normal"]),
            "figure.dpi": 144,  # of what is rasterized inside a vector graphic
            "figure.constrained_layout.use": True,
            "figure.constrained_layout.wspace": 0.06,
            "figure.facecolor": "none",
            "savefig.facecolor": "none",
            "savefig.transparent": True,
            "text.color": INK,
            "font.size": 11.0,
            "axes.facecolor": "none",
            "axes.edgecolor": COLORS["exact"],
            "axes.labelcolor": INK,
            "axes.labelsize": "medium",
            "axes.prop_cycle": mpl.cycler(color=CYCLE),
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.titlesize": "medium",
            "xtick.color": COLORS["exact"],
            "ytick.color": COLORS["exact"],
            "xtick.labelcolor": INK,
            "ytick.labelcolor": INK,
            "xtick.labelsize": 10.0,
            "ytick.labelsize": 10.0,
            "legend.fontsize": 10.0,
            "legend.frameon": False,
            "legend.handlelength": 1.7,
            "legend.labelspacing": 0.35,
            "legend.borderaxespad": 0.2,
            "lines.linewidth": 1.8,
            "lines.markersize": 4.5,
            "hatch.linewidth": 0.8,
            "image.cmap": "gray",
            "image.interpolation": "none",  # a vector graphic holds the pixels themselves
            "svg.hashsalt": "vaelab",
        }
    )
    if "IPython" not in sys.modules:
        return
    from IPython import get_ipython

    if get_ipython() is None:  # to set the formats would start a shell
        return
    from matplotlib_inline.backend_inline import set_matplotlib_formats

    # Not cut to what is drawn: all figures have one width.
    set_matplotlib_formats("svg", metadata={"Date": None}, bbox_inches=None)


def panels(columns: int = 1, rows: int = 1, height: str = "normal", **options):
    """A figure of the book's width, and its axes: ``plt.subplots`` with the book's sizes.

    Arguments:
        columns: Axes side by side.
        rows: Axes one below the other.
        height: ``low``, ``normal``, ``high``, or ``page`` for what fills a page.
        options: Passed to ``plt.subplots``, as ``sharey`` or ``width_ratios``.

    Raises:
        ValueError: If the height is not one of the four.
    """
    if height not in HEIGHTS:
        raise ValueError(f"height is {height!r}: choose from {', '.join(HEIGHTS)}")
    return plt.subplots(rows, columns, figsize=(WIDTH, HEIGHTS[height]), **options)


def name_lines(ax: Axes) -> None:
    """Write the name of each labelled line behind its last point, where a legend would have to be looked up.

    Names that would touch are moved apart. The limits and scales of the axes must be set before.
    """
    lines = [line for line in ax.lines if not line.get_label().startswith("_")]
    points = ax.figure.dpi / 72
    ends = [ax.transData.transform((line.get_xdata()[-1], line.get_ydata()[-1]))[1] / points for line in lines]
    order = np.argsort(ends)
    places = _apart([ends[i] for i in order], 13.0)
    for i, place in zip(order, places, strict=True):
        line = lines[i]
        ax.annotate(
            line.get_label(),
            (line.get_xdata()[-1], line.get_ydata()[-1]),
            (7, place - ends[i]),
            textcoords="offset points",
            va="center",
            size="small",
            annotation_clip=False,
        )


def _apart(places: Sequence[float], least: float) -> list[float]:
    """Places in rising order, moved as little as a chain of pushes allows until none is nearer than ``least``."""
    moved = list(places)
    for i in range(1, len(moved)):
        if moved[i] - moved[i - 1] < least:
            push = (least - (moved[i] - moved[i - 1])) / 2
            moved[i] += push
            moved[:i] = [place - push for place in moved[:i]]
    return moved


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
        size = min(TILE, WIDTH / columns)
        ax = plt.figure(figsize=(size * columns, size * rows), layout="none").add_axes((0, 0, 1, 1))
    picture = tiles.permute(0, 2, 1, 3).reshape(rows * height, columns * width)
    ax.imshow(picture.numpy(), vmin=0, vmax=1)
    ax.set_axis_off()
    return ax.figure


def pairs(images: Tensor, reconstructions: Tensor) -> Figure:
    """Images above their reconstructions, ``[n, pixels]`` each."""
    return grid(torch.cat([images, reconstructions]), columns=len(images))


def strips(images: Mapping[str, Tensor], columns: int = 10) -> Figure:
    """Images in strips, each under its name, white on black like the digits: one picture on a light and a dark page.

    Arguments:
        images: What each strip shows, ``[n, pixels]`` or ``[n, height, width]`` in [0, 1], by its name.
        columns: Images per row; a strip with more has several rows.
    """
    size, name = min(TILE, WIDTH / columns), 28 * PIXEL
    heights = [size * -(-len(strip) // columns) for strip in images.values()]
    width, height = size * columns, sum(heights) + name * len(images)
    figure = plt.figure(figsize=(width, height), layout="none", facecolor="black")
    top = height
    for (label, strip), tall in zip(images.items(), heights, strict=True):
        figure.text(5 * PIXEL / width, (top - 22 * PIXEL) / height, label, color="white", va="baseline")
        top -= name + tall
        grid(strip, columns, figure.add_axes((0, top / height, 1, tall / height)))
    return figure


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
    columns, size = len(images[0]), TILE
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
    figure, axes = plt.subplots(1, 3, figsize=(1.5 * WIDTH, HEIGHTS["normal"]))
    epochs = range(1, len(history) + 1)
    elbo = [h["reconstruction"] + h["kl"] for h in history]
    held_out = "validation" in history[0]
    axes[0].plot(epochs, elbo, ".--" if held_out else ".-", color=COLORS["elbo"], label="training")
    if held_out:
        axes[0].plot(epochs, [h["validation"] for h in history], ".-", color=COLORS["elbo"], label="validation")
    if any(abs(h["loss"] - total) > 1e-3 * abs(total) for h, total in zip(history, elbo, strict=True)):
        axes[0].plot(epochs, [h["loss"] for h in history], ":", color=COLORS["loss"], label="minimised (weighted)")
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
        _, axes = panels(2)
    epochs = range(1, len(history) + 1)
    held_out = "validation" in history[0]
    axes[0].plot(epochs, [h["loss"] for h in history], ".--" if held_out else ".-", color=COLORS["elbo"])
    axes[0].lines[0].set_label("training")
    if held_out:
        axes[0].plot(epochs, [h["validation"] for h in history], ".-", color=COLORS["elbo"], label="validation")
        axes[0].legend()
    axes[0].set(title="−ELBO", xlabel="epoch", ylabel="nats per image")
    for name in ("reconstruction", "kl"):
        axes[1].plot(epochs, [h[name] for h in history], ".-", color=COLORS[name], label=name)
    axes[1].set(title="its two terms", xlabel="epoch", ylim=(0, None))
    for line, name, beside in zip(axes[1].lines, ("reconstruction", "KL"), (-15, 6), strict=True):
        last = (epochs[-1], line.get_ydata()[-1])
        axes[1].annotate(name, last, (0, beside), textcoords="offset points", ha="right", size="small")
    for ax in axes:
        ax.xaxis.get_major_locator().set_params(integer=True)
    return axes[0].figure


def latent_scatter(mu: Tensor, labels: Tensor, ax: Axes | None = None) -> Figure:
    """Two-dimensional posterior means, coloured by digit, each class named at its median or, in a crowd, beside it.

    Arguments:
        mu: ``[n, 2]``.
        labels: The digits, ``[n]``.
        ax: Where to draw; by default a new figure.
    """
    if mu.shape[1] != 2:
        raise ValueError(f"a plane needs 2 latent dimensions, got {mu.shape[1]}")
    if ax is None:
        _, ax = plt.subplots(figsize=(0.86 * WIDTH, 0.86 * WIDTH))
    colors = [DIGITS[label] for label in labels.tolist()]
    ax.scatter(*mu.T, c=colors, s=3, alpha=0.6, rasterized=True)
    digits = labels.unique()
    centres = torch.stack([mu[labels == digit].median(0).values for digit in digits])
    radius = 0.045 * float((mu.quantile(0.99, 0) - mu.quantile(0.01, 0)).max())
    disc = {"boxstyle": "circle,pad=0.2", "fc": "white", "ec": COLORS["exact"]}
    for digit, place in zip(digits, _spread(centres, 1.5 * radius), strict=True):
        ax.text(*place.tolist(), str(digit.item()), ha="center", va="center", size="small", weight="bold", bbox=disc)
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
        ax = plt.figure(figsize=(WIDTH, WIDTH), layout="none").add_axes((0, 0, 1, 1))
    return grid(tiles, columns=side, ax=ax)


def _spread(places: Tensor, least: float) -> Tensor:
    """Places ``[n, 2]``, pushed apart until none is nearer to another than ``least``, or for a hundred rounds."""
    places = places.detach().cpu().double().clone()
    for _ in range(100):
        between = places[:, None] - places
        distance = between.norm(dim=2).clamp(min=1e-9)
        near = (distance < least) & ~torch.eye(len(places), dtype=torch.bool)
        if not near.any():
            break
        push = torch.where(near, (least - distance) / distance, torch.zeros_like(distance))
        places += 0.5 * (push[..., None] * between).sum(1)
    return places


def _square(images: Tensor) -> Tensor:
    if images.dim() == 2:
        side = round(images.shape[1] ** 0.5)
        images = images.view(-1, side, side)
    return images.detach().cpu().float()
