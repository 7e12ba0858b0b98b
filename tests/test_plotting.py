"""Tests of vaelab.plotting and of the progress bar: each figure shows the data it was given."""

import sys

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import torch

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
