"""Tests of vaelab.objectives against torch.distributions and against each other."""

import pytest
import torch
from torch.distributions import Bernoulli, Normal, kl_divergence

from vaelab.objectives import bernoulli_nll, kl_standard_normal, negative_elbo


@pytest.mark.parametrize("latent", [1, 20])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_kl_against_torch_distributions(latent, dtype):
    mu, logvar = (3 * torch.randn(97, latent, dtype=dtype) for _ in range(2))
    expected = kl_divergence(Normal(mu, (0.5 * logvar).exp()), Normal(0.0, 1.0)).sum(1)
    torch.testing.assert_close(kl_standard_normal(mu, logvar), expected, rtol=1e-5, atol=1e-5)


def test_kl_is_zero_only_at_the_prior():
    zero = torch.zeros(1, 4)
    assert kl_standard_normal(zero, zero) == 0
    assert (kl_standard_normal(torch.randn(50, 4), torch.randn(50, 4)) > 0).all()


@pytest.mark.parametrize("shape", [(97, 30), (1, 30), (5, 1, 6, 5)])
def test_reconstruction_against_torch_distributions(shape):
    logits, x = 4 * torch.randn(shape), torch.randint(2, shape).float()
    expected = -Bernoulli(logits=logits).log_prob(x).flatten(1).sum(1)
    torch.testing.assert_close(bernoulli_nll(logits, x), expected)


def test_reconstruction_survives_extreme_logits():
    nll = bernoulli_nll(torch.tensor([[1e4, -1e4]]), torch.tensor([[0.0, 1.0]]))
    assert nll.item() == pytest.approx(2e4)


def test_shapes_that_would_broadcast_are_refused():
    with pytest.raises(ValueError, match="same shape"):
        bernoulli_nll(torch.zeros(3, 30), torch.zeros(3, 1))


@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
def test_negative_elbo_is_a_mean_over_images_of_sums(beta):
    logits, x = torch.randn(7, 30), torch.rand(7, 30)
    mu, logvar = torch.randn(7, 3), torch.randn(7, 3)
    each = [negative_elbo(logits[i : i + 1], x[i : i + 1], mu[i : i + 1], logvar[i : i + 1], beta) for i in range(7)]
    torch.testing.assert_close(negative_elbo(logits, x, mu, logvar, beta), torch.stack(each).mean())


def test_gradients():
    mu, logvar, logits = (torch.randn(3, 4, dtype=torch.float64, requires_grad=True) for _ in range(3))
    x = torch.rand(3, 4, dtype=torch.float64)
    assert torch.autograd.gradcheck(
        lambda mu, logvar, logits: negative_elbo(logits, x, mu, logvar), (mu, logvar, logits)
    )
