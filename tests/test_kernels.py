"""Tests of vaelab.kernels: the same values and gradients as PyTorch's own operations."""

import pytest
import torch
from torch.nn import functional as F

from vaelab import kernels
from vaelab.kernels import Linear, bernoulli_cross_entropy, in_bfloat16, linear


@pytest.mark.parametrize("batch", [1, 97])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_and_its_gradients(batch, dtype):
    def run(function):
        torch.manual_seed(0)
        x, weight, bias = (
            torch.randn(shape, dtype=dtype, requires_grad=True) for shape in ((batch, 30), (17, 30), (17,))
        )
        y = function(x, weight, bias)
        (y.square() * torch.arange(17)).sum().backward()
        return y, x.grad, weight.grad, bias.grad

    for ours, theirs in zip(run(linear), run(F.linear), strict=True):
        assert ours.dtype == dtype
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-3 if dtype == torch.float32 else 1e-9)


def test_linear_of_other_shapes_is_pytorchs():
    weight, bias = torch.randn(4, 3), torch.randn(4)
    for shape in ((3,), (2, 5, 3), (0, 3)):
        x = torch.randn(shape)
        torch.testing.assert_close(linear(x, weight, bias), F.linear(x, weight, bias))


def test_linear_without_onednn(monkeypatch):
    monkeypatch.setattr(kernels, "_ONEDNN", False)
    layer, x = Linear(3, 4), torch.randn(5, 3)
    torch.testing.assert_close(layer(x), F.linear(x, layer.weight, layer.bias))


@pytest.mark.skipif(not kernels._ONEDNN, reason="this PyTorch has no oneDNN")
def test_rounded_products_are_near_and_float32(monkeypatch):
    monkeypatch.setattr(kernels, "_BFLOAT16_UNITS", True)
    torch.manual_seed(0)
    layer, x = Linear(300, 40), torch.randn(64, 300)
    exact = layer(x)
    with in_bfloat16(x.device):
        rounded = layer(x)
    assert rounded.dtype == torch.float32
    # bfloat16 keeps 8 bits: factors are off by at most 2^-9 each, relative to the product of the norms.
    bound = 2**-8 * x.norm(dim=1, keepdim=True) * layer.weight.norm(dim=1)
    assert ((rounded - exact).abs() <= bound).all()
    assert not torch.equal(rounded, exact)
    rounded.sum().backward()
    torch.testing.assert_close(layer.weight.grad, x.sum(0).expand(40, -1), rtol=0.05, atol=0.5)


def test_no_rounding_without_units(monkeypatch):
    monkeypatch.setattr(kernels, "_BFLOAT16_UNITS", False)
    layer, x = Linear(300, 40), torch.randn(64, 300)
    with in_bfloat16(x.device):
        assert torch.equal(layer(x), layer(x))
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("shape", [(97, 30), (1, 30), (5, 1, 6, 5)])
@pytest.mark.parametrize("scale", [0.1, 5, 100])
def test_cross_entropy(shape, scale):
    logits, x = scale * torch.randn(shape), torch.rand(shape)
    expected = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(bernoulli_cross_entropy(logits, x), expected, rtol=1e-5, atol=1e-4)


def test_cross_entropy_gradients():
    logits = torch.cat([5 * torch.randn(4, 5, dtype=torch.float64), torch.zeros(1, 5, dtype=torch.float64)])
    x = torch.rand(5, 5, dtype=torch.float64)
    autograd = torch.autograd.grad(
        F.binary_cross_entropy_with_logits(logits.requires_grad_(), x.requires_grad_(), reduction="sum"), [logits, x]
    )
    ours = torch.autograd.grad(bernoulli_cross_entropy(logits, x).sum(), [logits, x])
    for a, b in zip(ours, autograd, strict=True):
        torch.testing.assert_close(a, b)
    assert torch.autograd.gradcheck(bernoulli_cross_entropy, (logits, x))
