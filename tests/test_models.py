"""Tests of vaelab.networks and vaelab.models."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from vaelab.models import VAE, mlp_vae
from vaelab.networks import MLPDecoder, MLPEncoder, mlp


@pytest.fixture
def model() -> VAE:
    return mlp_vae(input_dim=30, hidden_dims=(16, 8), latent_dim=3)


def test_mlp_has_no_activation_at_the_end():
    layers = mlp([4, 5, 6], nn.Tanh)
    assert [type(layer) for layer in layers] == [nn.Linear, nn.Tanh, nn.Linear]


def test_hidden_layers_are_mirrored(model):
    assert [m.out_features for m in model.encoder.net if isinstance(m, nn.Linear)] == [16, 8, 6]
    assert [m.out_features for m in model.decoder.net if isinstance(m, nn.Linear)] == [8, 16, 30]


def test_default_is_the_classic_model():
    assert sum(p.numel() for p in mlp_vae().parameters()) == 652_824


@pytest.mark.parametrize("batch", [1, 97])
@pytest.mark.parametrize("shape", [(30,), (1, 5, 6)])
def test_shapes(model, batch, shape):
    x = torch.rand(batch, *shape)
    logits, mu, logvar = model(x)
    assert logits.shape == x.shape
    assert mu.shape == logvar.shape == (batch, 3)
    assert model.reconstruct(x).shape == x.shape
    assert model.sample(batch).shape == (batch, 30)


def test_rows_do_not_depend_on_each_other(model):
    x = torch.rand(5, 30)
    torch.testing.assert_close(model.encode(x)[0][2:3], model.encode(x[2:3])[0])


def test_reparameterize_draws_the_right_gaussian(generator):
    n = 200_000
    mu, logvar = torch.tensor([-3.0, 5.0]).double(), torch.tensor([2.0, -4.0]).double()
    z = VAE.reparameterize(mu.expand(n, 2), logvar.expand(n, 2), generator)
    std = (0.5 * logvar).exp()
    # Six standard errors of a mean and of a variance: false alarms in 5e8.
    assert ((z.mean(0) - mu).abs() < 6 * std / n**0.5).all()
    assert ((z.var(0) / std**2 - 1).abs() < 6 * (2 / n) ** 0.5).all()


def test_reparameterize_is_differentiable_in_both():
    mu, logvar = (torch.randn(4, 2, dtype=torch.float64, requires_grad=True) for _ in range(2))

    def draw(mu, logvar):
        return VAE.reparameterize(mu, logvar, torch.Generator().manual_seed(0))

    assert torch.autograd.gradcheck(draw, (mu, logvar))


def test_noise_comes_from_the_generator_alone(model):
    mu = logvar = torch.zeros(4, 3)
    before = torch.get_rng_state()
    a, b, c = (model.reparameterize(mu, logvar, torch.Generator().manual_seed(s)) for s in (1, 1, 2))
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert torch.equal(torch.get_rng_state(), before)


def test_distributions_agree_with_the_numbers(model):
    x = torch.rand(6, 30)
    mu, logvar = model.encode(x)
    q = model.posterior(x)
    torch.testing.assert_close(q.mean, mu)
    torch.testing.assert_close(q.variance, logvar.exp())
    torch.testing.assert_close(
        kl_divergence(q, model.prior()), kl_divergence(Normal(mu, q.stddev), Normal(0, 1)).sum(1)
    )
    torch.testing.assert_close(model.likelihood(mu).mean, model.decode(mu).sigmoid())
    assert model.likelihood(mu).log_prob(x).shape == (6,)


def test_interpolation_has_the_reconstructions_at_its_ends(model):
    x = torch.rand(2, 30)
    line = model.interpolate(x[0], x[1], steps=7)
    assert line.shape == (7, 30)
    torch.testing.assert_close(line[[0, -1]], model.reconstruct(x))
    middle = model.decode(model.encode(x)[0].mean(0, keepdim=True)).sigmoid()
    torch.testing.assert_close(line[3:4], middle)


def test_interpolation_needs_two_ends(model):
    with pytest.raises(ValueError, match="at least 2"):
        model.interpolate(torch.rand(30), torch.rand(30), steps=1)


def test_making_images_leaves_the_mode_and_no_graph():
    encoder, decoder = MLPEncoder(6, (4,), 2), MLPDecoder(2, (4,), 6)
    decoder.net.insert(1, nn.Dropout(0.5))
    model = VAE(encoder, decoder).train()
    x = torch.rand(3, 6)
    assert torch.equal(model.reconstruct(x), model.reconstruct(x))
    assert model.training
    assert not model.sample(2).requires_grad
    model.eval()
    model.sample(2)
    assert not model.training


def test_integer_images_are_refused(model):
    with pytest.raises(TypeError, match="divide uint8 pixels by 255"):
        model.encode(torch.zeros(2, 30, dtype=torch.uint8))


@pytest.mark.parametrize("shape", [(30,), (2, 29), (2, 1, 28, 28)])
def test_wrong_image_shapes_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"30 pixels.*got"):
        model.encode(torch.zeros(shape))


def test_wrong_code_shapes_are_refused(model):
    with pytest.raises(ValueError, match="3 dimensions"):
        model.decode(torch.zeros(2, 4))
