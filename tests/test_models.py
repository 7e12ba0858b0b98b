"""Tests of vaelab.networks and vaelab.models."""

import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence

from vaelab.data import digits
from vaelab.kernels import Linear
from vaelab.models import VAE, Autoencoder, batchnorm_vae, conv_vae, mean_image_bias_, mlp_vae
from vaelab.networks import BatchNormDecoder, ConvDecoder, ConvEncoder, MLPDecoder, MLPEncoder, mlp, xavier_
from vaelab.objectives import kl_standard_normal


@pytest.fixture
def model() -> VAE:
    return mlp_vae(input_dim=30, hidden_dims=(16, 8), latent_dim=3)


def test_mlp_has_no_activation_at_the_end():
    layers = mlp([4, 5, 6], nn.Tanh)
    assert [type(layer) for layer in layers] == [Linear, nn.Tanh, Linear]


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


def layers(network, kind) -> list:
    return [layer for layer in network.modules() if isinstance(layer, kind)]


def sizes(network, x) -> list[tuple[int, ...]]:
    """Shapes of the four-dimensional outputs of all convolutions, in order."""
    found = []
    for layer in layers(network, (nn.Conv2d, nn.ConvTranspose2d)):
        layer.register_forward_hook(lambda _layer, _inputs, output: found.append(tuple(output.shape[1:])))
    network(x)
    return found


def test_seed_000_has_its_shapes():
    model = conv_vae()
    assert model.latent_dim == 20
    assert sizes(model.encoder, torch.rand(2, 784)) == [(32, 14, 14), (64, 7, 7), (128, 7, 7)]
    assert sizes(model.decoder, torch.rand(2, 20)) == [(64, 7, 7), (32, 14, 14), (1, 28, 28)]
    assert [layer.out_features for layer in layers(model, nn.Linear)] == [500, 40, 500, 6272]


def test_seed_001_has_its_shapes():
    model = batchnorm_vae()
    assert model.latent_dim == 12
    assert sizes(model.encoder, torch.rand(2, 784)) == [(16, 14, 14), (32, 7, 7), (64, 4, 4)]
    assert sizes(model.decoder, torch.rand(2, 12)) == [(32, 7, 7), (16, 14, 14), (1, 28, 28)]
    assert [layer.in_features for layer in layers(model, nn.Linear)] == [1024, 12]
    assert [layer.num_features for layer in layers(model, nn.BatchNorm2d)] == [16, 32, 64, 32, 16]


MODELS = [mlp_vae, conv_vae, batchnorm_vae]
DEVICES = ["cpu"] + ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()


@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("batch", [1, 7])
@pytest.mark.parametrize("kind", ["VAE", "Autoencoder"])
def test_all_models_have_one_interface(make, device, batch, kind):
    model = make().to(device)
    if kind == "Autoencoder":
        model = Autoencoder(model.encoder, model.decoder, model.family)
    x = torch.rand(batch, 1, 28, 28, device=device)
    logits, mu, logvar = model(x, torch.Generator().manual_seed(0))
    assert logits.shape == x.shape
    assert mu.shape == logvar.shape == (batch, model.latent_dim)
    assert model.reparameterize(mu, torch.zeros_like(mu)).shape == mu.shape
    assert model.decode(mu).shape == (batch, 784)
    assert model.reconstruct(x).shape == x.shape
    made = [
        (model.sample(batch), batch),
        (model.interpolate(x[0], x[-1], steps=3), 3),
        (model.traverse(x[0], model.latent_dim - 1, steps=4), 4),
    ]
    for images, n in made:
        assert images.shape == (n, 784)
        assert ((images >= 0) & (images <= 1)).all()
    reconstruction, kl = model.terms(x.flatten(1), torch.Generator().manual_seed(0))
    (reconstruction.mean() + kl.sum(1).mean()).backward()
    assert reconstruction.shape == (batch,)
    assert kl.shape == (batch, model.latent_dim)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("make", MODELS)
def test_terms_are_those_of_the_distributions(make):
    torch.manual_seed(0)
    model = make().eval()
    x = torch.randint(2, (5, 784)).float()
    reconstruction, kl = model.terms(x, torch.Generator().manual_seed(1))
    mu, logvar = model.encode(x)
    z = model.reparameterize(mu, logvar, torch.Generator().manual_seed(1))
    log_likelihood = model.likelihood(z).log_prob(x)
    constant = 392 * torch.tensor(torch.pi).log() if model.family == "gaussian" else 0
    torch.testing.assert_close(reconstruction, -log_likelihood - constant, rtol=1e-4, atol=1e-2)
    torch.testing.assert_close(kl.sum(1), kl_standard_normal(mu, logvar))
    torch.testing.assert_close(kl.sum(1), kl_divergence(model.posterior(x), model.prior()))


def test_plain_autoencoder_has_no_noise():
    vae = mlp_vae(30, (16,), 3)
    plain = Autoencoder(vae.encoder, vae.decoder)
    x = torch.rand(4, 30)
    assert torch.equal(plain(x)[0], plain(x)[0])
    torch.testing.assert_close(plain(x)[0].sigmoid(), plain.reconstruct(x))
    assert not torch.equal(vae(x)[0], vae(x)[0])


def test_traverse_sets_one_coordinate(model):
    x = torch.rand(30)
    mu = model.encode(x[None])[0]
    for dimension, value, row in ((0, -2.0, 0), (2, 0.0, 2), (1, 2.0, 4)):
        z = mu.clone()
        z[:, dimension] = value
        torch.testing.assert_close(model.traverse(x, dimension, 5, span=2.0)[row : row + 1], model.decode(z).sigmoid())
    with pytest.raises(ValueError, match="between 0 and 2, got 3"):
        model.traverse(x, 3)


class Identity(nn.Module):
    """Codes are images: what is decoded shows the path."""

    input_dim = latent_dim = 2

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, x):
        return (x, torch.zeros_like(x)) if self.encodes else x


def test_spherical_interpolation_turns_at_an_even_rate():
    encoder, decoder = Identity(), Identity()
    encoder.encodes, decoder.encodes = True, False
    path = VAE(encoder, decoder).interpolate(torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0]), 7, spherical=True)
    angles = torch.linspace(0, torch.pi / 2, 7)
    torch.testing.assert_close(path.logit(), torch.stack([angles.cos(), angles.sin()], 1), rtol=1e-4, atol=1e-4)
    same = VAE(encoder, decoder).interpolate(torch.tensor([0.5, 0.5]), torch.tensor([1.0, 1.0]), 3, spherical=True)
    torch.testing.assert_close(same.logit(), torch.tensor([[0.5, 0.5], [0.75, 0.75], [1.0, 1.0]]))


def test_mean_image_bias_starts_from_the_mean():
    images = digits().train
    for model in (mean_image_bias_(mlp_vae(), images), mean_image_bias_(conv_vae(), images)):
        layer = layers(model.decoder, (nn.Linear, nn.ConvTranspose2d))[-1]
        mean = images.x.mean(0).clamp(1e-3, 1 - 1e-3)
        torch.testing.assert_close(
            layer.bias.sigmoid(), mean if len(layer.bias) > 1 else images.x.mean(0).mean(0, True)
        )


def test_xavier_sets_every_weight_in_its_range():
    model = xavier_(conv_vae())
    for layer in layers(model, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
        fan_in, fan_out = nn.init._calculate_fan_in_and_fan_out(layer.weight)
        bound = (6 / (fan_in + fan_out)) ** 0.5
        assert 0.9 * bound < layer.weight.abs().max() <= bound
        assert not layer.bias.any()


def test_parts_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="20 dimensions, the decoder's 12"):
        VAE(ConvEncoder(20), BatchNormDecoder(12))
    with pytest.raises(ValueError, match='"bernoulli" or "gaussian", got \'mse\''):
        VAE(ConvEncoder(), ConvDecoder(), "mse")


@pytest.mark.parametrize("value", [-0.01, 1.5, float("nan")])
def test_pixels_out_of_range_are_refused(model, value):
    x = torch.rand(2, 30)
    x[1, 3] = value
    with pytest.raises(ValueError, match=r"pixels in \[0, 1\], got values from"):
        model.encode(x)


def test_other_dtypes_are_refused(model):
    with pytest.raises(TypeError, match=r"images must be torch.float32.*got torch.float64"):
        model.encode(torch.rand(2, 30).double())
    with pytest.raises(TypeError, match=r"codes must be torch.float32.*got torch.int64"):
        model.decode(torch.zeros(2, 3, dtype=torch.long))
    with pytest.raises(TypeError, match="must be a tensor, got list"):
        model.encode([[0.0] * 30])
    assert model.double().encode(torch.rand(2, 30).double())[0].dtype == torch.float64


def test_integer_images_are_refused(model):
    with pytest.raises(TypeError, match="divide uint8 pixels by 255"):
        model.encode(torch.zeros(2, 30, dtype=torch.uint8))


@pytest.mark.parametrize("shape", [(30,), (2, 29), (0, 29), (2, 1, 28, 28)])
def test_wrong_image_shapes_are_refused(model, shape):
    with pytest.raises(ValueError, match=r"30 pixels.*got"):
        model.encode(torch.zeros(shape))


def test_wrong_code_shapes_are_refused(model):
    with pytest.raises(ValueError, match="3 dimensions"):
        model.decode(torch.zeros(2, 4))
