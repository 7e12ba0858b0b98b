"""Explorers: three pictures of Part I with sliders, and a slider over frames that needs no kernel.

The rendered book draws the same three with ``book/_static/explorers.js``; the numbers, and even the
random dots, agree. The functions that end in ``_numbers`` are the mathematics, without a picture.
"""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import ipywidgets
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import HTML
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from torch import Tensor
from torch.distributions import Normal, kl_divergence

from .plotting import COLORS, WIDTH, panels, style

__all__ = [
    "estimator_explorer",
    "estimator_numbers",
    "gap_explorer",
    "gap_numbers",
    "kl_explorer",
    "kl_numbers",
    "normals",
    "player",
]

COUNT = 200  # gradient estimates in a strip
SAMPLES = 100  # the most samples that an estimate can use


# The mathematics.


def gap_numbers(mu: float, logvar: float, x: float = 1.2, s: float = 0.6) -> dict[str, float]:
    """Both sides of log p(x) = ELBO + KL(q || posterior), for z ~ N(0, 1) and x|z ~ N(z, s²).

    Arguments:
        mu: Mean of q.
        logvar: Log of the variance of q.
        x: The observation.
        s: Standard deviation of x given z.

    Returns:
        In nats: ``evidence`` (log p(x)), ``reconstruction`` (E_q[log p(x|z)]), ``kl``
        (KL(q || prior)), ``elbo``, and ``gap`` (KL(q || posterior), computed on its own, not as a
        difference); and the posterior's ``mu`` and ``logvar``.

    Raises:
        ValueError: ``s`` is not positive.
    """
    if not s > 0:
        raise ValueError(f"s is a standard deviation: it must be positive, got {s}")
    q = _normal(mu, logvar)
    variance = s**2 / (1 + s**2)
    posterior_mu, posterior_logvar = x / (1 + s**2), math.log(variance)
    # E_q (x - z)² = (x - mu)² + Var_q(z): the log-density at q's mean, less what its spread costs.
    reconstruction = _normal(mu, 2 * math.log(s)).log_prob(_double(x)) - q.variance / (2 * s**2)
    kl = kl_divergence(q, _normal(0.0, 0.0))
    return {
        "evidence": _normal(0.0, math.log(1 + s**2)).log_prob(_double(x)).item(),
        "reconstruction": reconstruction.item(),
        "kl": kl.item(),
        "elbo": (reconstruction - kl).item(),
        "gap": kl_divergence(q, _normal(posterior_mu, posterior_logvar)).item(),
        "mu": posterior_mu,
        "logvar": posterior_logvar,
    }


def kl_numbers(mu_q: float, logvar_q: float, mu_p: float, logvar_p: float) -> dict[str, float]:
    """``forward`` KL(p || q) and ``reverse`` KL(q || p) of two univariate Gaussians, in nats."""
    q, p = _normal(mu_q, logvar_q), _normal(mu_p, logvar_p)
    return {"forward": kl_divergence(p, q).item(), "reverse": kl_divergence(q, p).item()}


def estimator_numbers(n: int, seed: int = 1, mu: float = 1.0, sigma: float = 1.0) -> dict[str, Any]:
    """200 score-function and 200 pathwise estimates of d/dmu E[z²] under N(mu, sigma²).

    Both use the same noise; estimate i is a mean over the first n of its own 100 draws, so that a
    larger n adds draws to the same estimate. The exact standard deviations follow from the Gaussian
    moments up to the sixth.

    Arguments:
        n: Samples per estimate, 1 to 100.
        seed: Seed of :func:`normals`.
        mu: Mean of z.
        sigma: Standard deviation of z.

    Returns:
        ``score`` and ``pathwise`` (arrays ``[200]``), ``score_sd`` and ``pathwise_sd`` (their
        standard deviations), ``ratio`` (of the two variances), ``exact`` (2 mu), ``exact_score_sd``
        and ``exact_pathwise_sd``.

    Raises:
        ValueError: ``n`` lies outside 1 to 100.
    """
    if not 1 <= n <= SAMPLES:
        raise ValueError(f"n must lie between 1 and {SAMPLES}, got {n}")
    noise = normals(seed, COUNT * SAMPLES).reshape(COUNT, SAMPLES)[:, :n]
    z = mu + sigma * noise
    score = (z**2 * noise / sigma).mean(1)  # f(z) d/dmu log q(z)
    pathwise = (2 * z).mean(1)  # d/dmu f(mu + sigma noise)
    return {
        "score": score,
        "pathwise": pathwise,
        "score_sd": score.std(ddof=1).item(),
        "pathwise_sd": pathwise.std(ddof=1).item(),
        "ratio": (score.var(ddof=1) / pathwise.var(ddof=1)).item(),
        "exact": 2 * mu,
        "exact_score_sd": math.sqrt((mu**4 / sigma**2 + 14 * mu**2 + 15 * sigma**2) / n),
        "exact_pathwise_sd": 2 * sigma / math.sqrt(n),
    }


def normals(seed: int, size: int) -> NDArray[np.float64]:
    """Standard normals that Python and the book's JavaScript draw alike.

    The generator is mulberry32, arithmetic modulo 2³²; Box and Muller's transform makes it normal.
    """
    counter = np.arange(1, size + size % 2 + 1, dtype=np.uint64)
    state = (seed % 2**32 + counter * 0x6D2B79F5).astype(np.uint32)
    t = (state ^ (state >> 15)) * (state | 1)
    t = (t + (t ^ (t >> 7)) * (t | 61)) ^ t
    uniform = (t ^ (t >> 14)) / 2.0**32
    radius = np.sqrt(-2 * np.log(1 - uniform[0::2]))
    angle = 2 * np.pi * uniform[1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], 1).ravel()[:size]


# The explorers.


def gap_explorer(x: float = 1.2, s: float = 0.6) -> ipywidgets.VBox:
    """Choose q = N(mu, exp(logvar)), close the gap. For a notebook with a running kernel."""
    sliders = {
        "mu": _slider("mean of q", -0.5, -3, 3),
        "logvar": _slider("log-variance of q", 0.0, -4, 2),
    }
    best = gap_numbers(0.0, 0.0, x, s)

    def close_the_gap(_: ipywidgets.Button) -> None:
        for name, slider in sliders.items():
            slider.value = best[name]

    button = ipywidgets.Button(description="set q to the posterior", layout={"width": "auto"})
    button.on_click(close_the_gap)
    alt = "The densities of the prior, of q and of the posterior; a bar stacked from ELBO and gap."
    return _explorer(partial(_draw_gap, x=x, s=s), alt, sliders, button)


def kl_explorer() -> ipywidgets.VBox:
    """Two Gaussians and both divergences. For a notebook with a running kernel."""
    sliders = {
        "mu_q": _slider("mean of q", 0.5, -2, 2),
        "logvar_q": _slider("log-variance of q", -1.0, -2, 1.5),
        "mu_p": _slider("mean of p", -0.5, -2, 2),
        "logvar_p": _slider("log-variance of p", 0.5, -2, 1.5),
    }
    return _explorer(_draw_kl, "The densities of q and p, and both integrands, shaded.", sliders)


def estimator_explorer(seed: int = 1) -> ipywidgets.VBox:
    """One gradient by two estimators, 200 times. For a notebook with a running kernel."""
    n = ipywidgets.IntSlider(10, 1, SAMPLES, description="samples per estimate", **_WIDE)
    counter = ipywidgets.IntText(seed)  # not shown: the button moves it
    button = ipywidgets.Button(description="redraw")
    button.on_click(lambda _: setattr(counter, "value", counter.value + 1))
    alt = "Two strips of 200 dots around the exact value 2: score-function and pathwise estimates."
    controls = {"n": n, "seed": counter}
    return _explorer(_draw_estimators, alt, controls, button, hidden=("seed",))


_WIDE = {"style": {"description_width": "11rem"}, "layout": {"width": "min(32rem, 95%)"}}


def _slider(name: str, value: float, low: float, high: float) -> ipywidgets.FloatSlider:
    return ipywidgets.FloatSlider(value, min=low, max=high, step=0.05, description=name, **_WIDE)


def _explorer(
    draw: Callable[..., tuple[Figure, str]],
    alt: str,
    controls: dict[str, Any],
    *buttons: ipywidgets.Button,
    hidden: Sequence[str] = (),
) -> ipywidgets.VBox:
    """Controls above the picture; under it, its numbers as text.

    The picture goes into an HTML widget and not through an Output widget: it gets words for those who do
    not see it, it does not flicker, and a notebook with it executes without a screen. (Of nbclient's runs
    with Output widgets, some wait for ever: it answers them on the socket on which it awaits the reply.)
    """
    picture = ipywidgets.HTML()

    def show(_: object = None) -> None:
        file = io.BytesIO()
        with mpl.rc_context():
            style()
            figure, words = draw(**{name: control.value for name, control in controls.items()})
            figure.savefig(file, format="svg", metadata={"Date": None})
            plt.close(figure)
        source = "data:image/svg+xml;base64," + base64.b64encode(file.getvalue()).decode()
        picture.value = (
            f'<img alt="{html.escape(alt)}" src="{source}" style="max-width:100%;padding:8px;background:white">'
            f"<pre>{html.escape(words)}</pre>"
        )

    for control in controls.values():
        control.observe(show, "value")
    show()
    shown = [control for name, control in controls.items() if name not in hidden]
    return ipywidgets.VBox([*shown, *buttons, picture])


def _draw_gap(mu: float, logvar: float, x: float, s: float) -> tuple[Figure, str]:
    n = gap_numbers(mu, logvar, x, s)
    figure, (top, bar) = plt.subplots(2, figsize=(WIDTH, 3.8), height_ratios=(4, 1))
    z = torch.linspace(-4, 4, 401, dtype=torch.float64)
    curves = (
        ("prior p(z)", 0.0, 0.0, COLORS["prior"], "-."),
        ("q(z)", mu, logvar, COLORS["encoder"], "-"),
        ("exact posterior p(z|x)", n["mu"], n["logvar"], COLORS["exact"], ":"),
    )
    for label, mean, log_variance, color, dashes in curves:
        top.plot(z, _normal(mean, log_variance).log_prob(z).exp(), dashes, color=color, label=label)
    top.set(xlabel="z", ylim=(0, None))
    top.legend()
    # The bar shows 8 nats below log p(x); where the ELBO is lower still, the text has its value.
    left, right = n["evidence"] - 8, n["evidence"]
    split = max(left, n["elbo"])
    bar.barh(0, split - left, left=left, color=COLORS["elbo"], label="ELBO")
    bar.barh(0, right - split, left=split, color=COLORS["gap"], hatch="///", label="gap")
    bar.axvline(right, color=COLORS["exact"], linestyle=":")
    bar.set(xlim=(left, right + 0.8), xlabel="nats; the dotted line is log p(x)")
    bar.legend(ncols=2, loc="lower left", bbox_to_anchor=(0, 1), borderaxespad=0.1)
    _no_scale(top, bar)
    words = (
        f"ELBO {n['elbo']:.3f} + gap {n['gap']:.3f} = log p(x) {n['evidence']:.3f}\n"
        f"ELBO = reconstruction {n['reconstruction']:.3f} - KL to the prior {n['kl']:.3f}"
    )
    return figure, words


def _draw_kl(mu_q: float, logvar_q: float, mu_p: float, logvar_p: float) -> tuple[Figure, str]:
    n = kl_numbers(mu_q, logvar_q, mu_p, logvar_p)
    z = torch.linspace(-9, 9, 301, dtype=torch.float64)
    log_q, log_p = _normal(mu_q, logvar_q).log_prob(z), _normal(mu_p, logvar_p).log_prob(z)
    figure, axes = plt.subplots(3, figsize=(WIDTH, 4.8), sharex=True)
    axes[0].plot(z, log_q.exp(), color=COLORS["encoder"], label="q(z)")
    axes[0].plot(z, log_p.exp(), "--", color=COLORS["prior"], label="p(z)")
    axes[0].set(ylim=(0, None))
    axes[0].legend()
    axes[1].sharey(axes[2])  # one scale, so that the two areas compare
    words = []
    for ax, name, color, a, b, log_a, log_b in (
        (axes[1], "forward", COLORS["prior"], (mu_p, logvar_p), (mu_q, logvar_q), log_p, log_q),
        (axes[2], "reverse", COLORS["encoder"], (mu_q, logvar_q), (mu_p, logvar_p), log_q, log_p),
    ):
        first, second = "pq" if name == "forward" else "qp"
        title = f"{name}: {first} log({first}/{second}), area {n[name]:.2f}"
        _integrand(ax, z, log_a.exp() * (log_a - log_b), color, title)
        spread, shift = math.exp(a[1]), (a[0] - b[0]) ** 2
        words.append(
            f"{name} KL({first}||{second}) = ½ [{b[1]:.2f} - ({a[1]:.2f})"
            f" + ({spread:.3f} + {shift:.3f}) / {math.exp(b[1]):.3f} - 1] = {n[name]:.3f} nats"
        )
    axes[2].set(xlabel="z", xticks=range(-8, 9, 2))
    _no_scale(*axes)
    return figure, "\n".join(words)


def _integrand(ax: Axes, z: Tensor, values: Tensor, color: str, title: str) -> None:
    ax.plot(z, values, color=color, linewidth=1.2)
    ax.fill_between(z, values.clamp(min=0), color=color, alpha=0.25)
    below = {"facecolor": "none", "edgecolor": color, "hatch": "////", "linewidth": 0}
    ax.fill_between(z, values.clamp(max=0), **below)
    ax.axhline(0, color=COLORS["exact"], linewidth=0.8)
    ax.set_title(title, loc="left", fontsize="medium")


def _draw_estimators(n: int, seed: int) -> tuple[Figure, str]:
    e = estimator_numbers(n, seed)
    figure, ax = panels()
    low, high = e["exact"] - 8, e["exact"] + 8
    height = 0.7 * (np.arange(COUNT) * 0.6180339887 % 1)
    for base, name, color in ((1, "score", COLORS["score"]), (0, "pathwise", COLORS["pathwise"])):
        values = e[name]
        inside = (low <= values) & (values <= high)
        ys = base + 0.15 + height
        ax.plot(values[inside], ys[inside], ".", color=color, alpha=0.55)
        for beyond, edge, marker in ((values < low, low, "<"), (values > high, high, ">")):
            ax.plot(np.full(beyond.sum(), edge), ys[beyond], marker, color=color, markersize=4)
        ax.errorbar(e["exact"], base + 0.06, xerr=e[f"{name}_sd"], color=color, capsize=3)
    ax.axvline(e["exact"], color=COLORS["exact"], linestyle=":")
    ax.set(xlim=(low - 0.3, high + 0.3), ylim=(0, 2))
    ax.set(xlabel="estimate of the derivative; the exact value is dotted")
    ax.set_yticks([0.5, 1.5], ["pathwise", "score function"])
    ratio = (e["exact_score_sd"] / e["exact_pathwise_sd"]) ** 2
    words = (
        f"standard deviation: score function {e['score_sd']:.2f}, exact {e['exact_score_sd']:.2f}; "
        f"pathwise {e['pathwise_sd']:.2f}, exact {e['exact_pathwise_sd']:.2f}\n"
        f"ratio of the variances {e['ratio']:.2f}, exact {ratio:.2f}"
    )
    return figure, words


def _no_scale(*axes: Axes) -> None:
    """Leave out vertical axes on which nothing is read."""
    for ax in axes:
        ax.set_yticks([])
        ax.spines["left"].set_visible(False)


def _double(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def _normal(mu: float, logvar: float) -> Normal:
    return Normal(_double(mu), _double(logvar / 2).exp())


# A player that needs no kernel.

# The strings that a caller gives arrive through data attributes, so this text never changes.
_MOVE = (
    "var p=this.closest('.player'),i=p.querySelector('img'),"
    "t=JSON.parse(p.dataset.labels)[this.value];"
    "i.style.top=-100*this.value+'%';i.alt=p.dataset.alt+': '+t;"
    "p.querySelector('output').value=t;this.setAttribute('aria-valuetext',t)"
)
_FRAME = "position:relative;overflow:hidden;max-width:100%"
_SPRITE = (
    "position:absolute;left:0;top:0;width:100%;max-width:none;height:auto;"
    "margin:0;padding:0;border-radius:0;image-rendering:pixelated"
)


def player(
    frames: ArrayLike | Tensor,
    labels: Sequence[str],
    alt: str,
    name: str = "step",
    *,
    width: int = 224,
    photo: bool = True,
) -> HTML:
    """A slider over frames: one picture that holds them all and one range input, no library.

    Works with no kernel: in the rendered book, from a file, in a notebook that its reader trusts.

    Arguments:
        frames: ``[k, h, w]`` or ``[k, h, w, 3]``; integers 0 to 255, or floats in [0, 1].
        labels: What each frame shows, k texts.
        alt: What the whole shows, for those who do not see it; the current label is added to it.
        name: The slider's label.
        width: Width on the page in CSS pixels; narrower where the page is.
        photo: Whether a dark page shows the frames as they are (digits) or turned (line drawings).

    Raises:
        ValueError: The frames have another shape, type or range, or the number of labels differs.
    """
    pixels = np.asarray(frames.detach().cpu() if isinstance(frames, Tensor) else frames)
    grey, colour = pixels.ndim == 3, pixels.ndim == 4 and pixels.shape[3] == 3
    if not (grey or colour) or pixels.size == 0:
        raise ValueError(f"frames must be [k, h, w] or [k, h, w, 3], got {list(pixels.shape)}")
    if len(labels) != len(pixels):
        raise ValueError(f"{len(pixels)} frames need as many labels, got {len(labels)}")
    if np.issubdtype(pixels.dtype, np.floating):
        pixels = (pixels.clip(0, 1) * 255).round()
    elif not np.issubdtype(pixels.dtype, np.integer):
        raise ValueError(f"frames must hold integers or floats, got {pixels.dtype}")
    elif pixels.min() < 0 or pixels.max() > 255:
        raise ValueError(f"integers must lie in 0 to 255, got {pixels.min()} to {pixels.max()}")
    count, height, wide = pixels.shape[:3]
    tall = pixels.reshape(count * height, *pixels.shape[2:]).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(tall).save(file, "PNG", optimize=True)
    source = "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()
    safe = html.escape
    words = [str(label) for label in labels]
    return HTML(
        f'<div class="player" data-labels="{safe(json.dumps(words))}" data-alt="{safe(alt)}">'
        f'<div style="{_FRAME};width:{width:d}px;aspect-ratio:{wide}/{height}">'
        f'<img alt="{safe(f"{alt}: {words[0]}")}" class="{"photo" if photo else ""}" '
        f'src="{source}" style="{_SPRITE}"></div>'
        f'<label>{safe(name)} <input type="range" min="0" max="{count - 1}" value="0" step="1" '
        f'autocomplete="off" aria-valuetext="{safe(words[0])}" oninput="{safe(_MOVE)}"></label> '
        f'<output aria-live="off">{safe(words[0])}</output></div>'
    )
