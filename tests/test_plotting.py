"""Tests of vaelab.plotting and of the progress bar: each figure shows the data it was given, in one style."""

import ast
import itertools
import re
import sys

import jupytext
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch

from coursekit import project
from coursekit.project import ROOT
from vaelab import plotting
from vaelab.models import mlp_vae
from vaelab.progress import Progress


@pytest.fixture(autouse=True)
def _figures():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def test_grid_puts_images_in_rows():
    images = torch.rand(5, 16)
    (drawn,) = plotting.grid(images, columns=3).axes[0].images
    tiles = drawn.get_array()
    assert tiles.shape == (8, 12)
    torch.testing.assert_close(torch.as_tensor(tiles[4:, :4]), images[3].view(4, 4))
    assert (tiles[4:, 8:] == 0).all()


def test_pairs_have_the_reconstruction_below_its_image():
    x, y = torch.rand(3, 16), torch.rand(3, 16)
    tiles = torch.as_tensor(plotting.pairs(x, y).axes[0].images[0].get_array())
    torch.testing.assert_close(tiles[:4, 4:8], x[1].view(4, 4))
    torch.testing.assert_close(tiles[4:, 4:8], y[1].view(4, 4))


def test_curves_show_every_term():
    history = [{"loss": 9.0, "reconstruction": 7.0, "kl": 2.0, "validation": 8.0}] * 3
    left, right = plotting.curves(history).axes
    assert [line.get_label() for line in left.lines] == ["training", "validation"]
    assert [line.get_label() for line in right.lines] == ["reconstruction", "kl"]
    assert right.lines[1].get_ydata()[0] == 2.0


def test_rows_are_labelled_in_order():
    images = [torch.rand(3, 16), torch.rand(3, 4, 4)]
    (ax,) = plotting.rows(images, ["above", "below"], "two rows").axes
    tiles = torch.as_tensor(ax.images[0].get_array())
    torch.testing.assert_close(tiles[4:, 4:8], images[1][1])
    labels = {label.get_text(): label.get_position()[1] for label in ax.get_yticklabels()}
    assert labels == {"above": 1.5, "below": 5.5}
    with pytest.raises(ValueError, match="2 rows and 1 labels"):
        plotting.rows(images, ["above"])


def test_training_history_compares_what_is_comparable():
    """With beta = 3 the minimised loss is not -ELBO: training and validation are drawn without the weight."""
    history = [{"loss": 13.0, "reconstruction": 7.0, "kl": 2.0, "validation": 8.0}] * 3
    total, reconstruction, kl = plotting.training_history(history).axes
    drawn = {line.get_label(): line.get_ydata()[0] for line in total.lines}
    assert drawn == {"training": 9.0, "validation": 8.0, "minimised (weighted)": 13.0}
    assert (reconstruction.lines[0].get_ydata()[0], kl.lines[0].get_ydata()[0]) == (7.0, 2.0)
    unweighted = [{"loss": 9.0, "reconstruction": 7.0, "kl": 2.0}]
    assert [line.get_label() for line in plotting.training_history(unweighted).axes[0].lines] == ["training"]


def test_strips_stand_under_their_names():
    images = {"above": torch.rand(3, 16), "below": torch.rand(5, 16)}
    figure = plotting.strips(images, columns=3)
    assert [text.get_text() for text in figure.texts] == ["above", "below"]
    above, below = (torch.as_tensor(ax.images[0].get_array()) for ax in figure.axes)
    assert above.shape == (4, 12)
    assert below.shape == (8, 12)
    torch.testing.assert_close(below[4:, 4:8], images["below"][4].view(4, 4))
    tops = [ax.get_position().y1 for ax in figure.axes]
    names = [text.get_position()[1] for text in figure.texts]
    assert names[0] > tops[0] > names[1] > tops[1]
    assert mpl.colors.to_hex(figure.get_facecolor()) == "#000000"


def test_panels_have_the_width_of_the_book():
    for columns in (1, 2):
        for height in plotting.HEIGHTS:
            figure, _ = plotting.panels(columns, height=height)
            assert figure.get_figwidth() == plotting.WIDTH
            assert len(figure.axes) == columns
    with pytest.raises(ValueError, match="choose from"):
        plotting.panels(height="3.5")


def test_names_of_lines_do_not_touch():
    _, ax = plotting.panels()
    ax.set(xlim=(0, 1), ylim=(0, 100))
    for end in (50.0, 51.0, 50.5, 90.0):
        ax.plot([0, 1], [0, end], label=f"to {end}")
    ax.plot([0, 1], [0, 10])
    plotting.name_lines(ax)
    ax.figure.draw_without_rendering()
    boxes = sorted(text.get_window_extent().extents.tolist()[1::2] for text in ax.texts)
    assert len(boxes) == 4
    assert all(low[1] <= high[0] + 1 for low, high in itertools.pairwise(boxes))
    order = sorted(ax.texts, key=lambda text: text.get_window_extent().y0)
    assert [text.get_text() for text in order] == ["to 50.0", "to 50.5", "to 51.0", "to 90.0"]


def contrast(one, other):
    """The contrast of two colours, from 1 to 21, as the Web Content Accessibility Guidelines define it."""

    def luminance(color):
        linear = [v / 12.92 if v <= 0.04045 else ((v + 0.055) / 1.055) ** 2.4 for v in mpl.colors.to_rgb(color)]
        return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def in_the_dark(color):
    """What the stylesheet makes of a colour on a dark page: ``invert(1) hue-rotate(180deg)``."""
    turned = torch.tensor([[-0.574, 1.43, 0.144], [0.426, 0.43, 0.144], [0.426, 1.43, -0.856]])
    return (turned @ (1 - torch.tensor(mpl.colors.to_rgb(color)))).clamp(0, 1).tolist()


def test_lines_are_seen_on_light_and_dark_pages():
    for name, color in [*plotting.COLORS.items(), *enumerate(plotting.CYCLE)]:
        if name != "paper":
            assert contrast(color, "white") >= 3, name
            assert contrast(in_the_dark(color), "#121212") >= 3, name


def test_colours_of_parts_stand_for_nothing_else():
    parts = {plotting.COLORS[name] for name in ("encoder", "decoder", "prior", "kl", "exact")}
    assert len(parts) == 5
    assert parts.isdisjoint(plotting.CYCLE)
    for same in (("encoder", "posterior", "elbo"), ("decoder", "reconstruction"), ("kl", "gap")):
        assert len({plotting.COLORS[name] for name in same}) == 1


# What a page may set by itself: (page, what was found). The digits in cells of a table are PNG, made without axes.
ALLOWED = {("convolutional-vae", "cmap='gray'")}
COLOUR_WORDS = {"color", "colors", "c", "fc", "ec", "facecolor", "edgecolor", "facecolors", "edgecolors", "cmap"}
SIZE_WORDS = {"figsize", "dpi", "fontsize", "size", "labelsize", "titlesize"}


def _is_word(node):
    return isinstance(node, ast.Constant) and isinstance(node.value, str)


def own_style(code):
    """The colours, sizes and settings that a piece of code sets by itself instead of taking the book's."""
    found = []
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.keyword) and node.arg in COLOUR_WORDS:
            if any(_is_word(part) for part in ast.walk(node.value)):
                found.append(f"{node.arg}={ast.unparse(node.value)}")
        elif isinstance(node, ast.keyword) and node.arg in SIZE_WORDS:
            parts = [part for part in ast.walk(node.value) if isinstance(part, ast.Constant)]
            if any(isinstance(part.value, (int, float)) for part in parts):
                found.append(f"{node.arg}={ast.unparse(node.value)}")
        elif isinstance(node, ast.Dict):
            named = [(key.value, value) for key, value in zip(node.keys, node.values, strict=True) if _is_word(key)]
            found += [
                f"{key}={value.value!r}" for key, value in named if key in COLOUR_WORDS | SIZE_WORDS and _is_word(value)
            ]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if re.fullmatch(r"#[0-9A-Fa-f]{3,8}|C\d", node.value):
                found.append(node.value)
        elif isinstance(node, ast.Attribute) and ast.unparse(node) in (
            "plt.subplots",
            "plt.figure",
            "plt.rcParams",
            "mpl.rcParams",
            "matplotlib.rcParams",
            "plt.rc",
            "plt.style",
        ):
            found.append(ast.unparse(node))
    # A colour that is looked up by its name is the book's own.
    return [text for text in found if not re.match(r"\w+=.*(COLORS\[|CYCLE\[|colors\[)", text)]


@pytest.mark.parametrize(
    "code",
    [
        'ax.plot(x, color="red")',
        'ax.plot(x, color="0.8")',
        'colors = ["#0072B2", other]',
        'ax.plot(x, color="C1")',
        "plt.subplots(figsize=(6, 3))",
        "ax.legend(fontsize=8)",
        'arrow = {"arrowstyle": "->", "color": "red"}',
        'plt.rcParams["font.size"] = 8',
    ],
)
def test_a_style_of_its_own_is_noticed(code):
    assert own_style(code)


def test_the_books_style_is_not():
    code = (
        'fig, ax = plotting.panels(2)\nax.plot(x, color=plotting.COLORS["kl"], lw=1)\nax.text(0, 0, "a", size="small")'
    )
    assert own_style(code) == []


@pytest.mark.parametrize("page", project.pages(), ids=lambda p: p.stem)
def test_pages_set_no_colours_and_sizes_of_their_own(page):
    if not page.read_text("utf-8").startswith("---\njupytext:"):
        return
    found = set()
    for cell in jupytext.read(page).cells:
        if cell.cell_type == "code" and not re.match(r"\s*[%!]", cell.source):
            found |= {(page.stem, text) for text in own_style(cell.source)}
    assert found - ALLOWED == set()
    assert {(name, text) for name, text in ALLOWED if name == page.stem} <= found, "allowed, but no longer there"


def test_style_starts_no_notebook_shell(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    with mpl.rc_context():
        plotting.style()
    assert "IPython" not in sys.modules


def test_latent_plane_needs_two_dimensions():
    plotting.latent_scatter(torch.randn(50, 2), torch.arange(50) % 10)
    with pytest.raises(ValueError, match="2 latent dimensions"):
        plotting.latent_scatter(torch.randn(50, 3), torch.arange(50))
    with pytest.raises(ValueError, match="2 latent dimensions"):
        plotting.manifold(mlp_vae(latent_dim=3))


def test_a_digit_has_one_colour_in_figures_and_in_the_explorer():
    css = (ROOT / "book" / "_static" / "latent-explorer.css").read_text("utf-8")
    by_day = re.findall(r"--lx-(\d): (#\w{6});", css.split("data-theme")[0])
    assert [color.upper() for _, color in by_day] == plotting.DIGITS
    assert [int(digit) for digit, _ in by_day] == list(range(10))


def test_manifold_has_the_plane_the_right_way_up():
    model = mlp_vae(input_dim=16, hidden_dims=(4,), latent_dim=2)
    tiles = torch.as_tensor(plotting.manifold(model, side=3).axes[0].images[0].get_array())
    # The top right tile is decoded where both coordinates are largest: the normal's 5/6 quantile.
    z = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor([[5 / 6, 5 / 6]]))
    expected = model.decode(z).sigmoid().view(4, 4).detach()
    torch.testing.assert_close(tiles[:4, 8:], expected)


def test_progress_in_a_terminal(capsys):
    bar = Progress(4)
    for _ in range(4):
        bar.advance()
    bar.show("half <b>")
    bar.close()
    out, err = capsys.readouterr()
    assert "4/4" in out
    assert err == ""
    assert "half &lt;b&gt;" in bar._repr_html_()
    assert 'max="4" value="4"' in bar._repr_html_()


def test_progress_can_be_hidden(capsys):
    bar = Progress(4, shown=False)
    bar.advance()
    bar.close()
    assert capsys.readouterr() == ("", "")
