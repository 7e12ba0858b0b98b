"""Tests of vaelab.kernels: the same values and gradients as PyTorch's own operations."""

import copy

import pytest
import torch
from torch.nn import functional as F

from vaelab import kernels
from vaelab.kernels import (
    Conv2d,
    ConvTranspose2d,
    Linear,
    adam_step,
    bernoulli_cross_entropy,
    draw_and_kl,
    forget_tiny_means_,
    in_bfloat16,
    linear,
)
from vaelab.objectives import kl_per_dimension


@pytest.mark.parametrize("batch", [1, 97])
@pytest.mark.parametrize("inputs", [30, 8000])  # few weights and many
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_linear_and_its_gradients(batch, inputs, dtype):
    def run(function):
        torch.manual_seed(0)
        x, weight, bias = (
            torch.randn(shape, dtype=dtype).div_(inputs**0.25).requires_grad_()
            for shape in ((batch, inputs), (17, inputs), (17,))
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


def test_rounded_products_are_near(monkeypatch):
    monkeypatch.setattr(kernels, "_BFLOAT16_UNITS", True)
    torch.manual_seed(0)
    layer, x = Linear(300, 400), torch.randn(64, 300)
    exact = layer(x)
    with in_bfloat16(x.device):
        rounded = layer(x)
    # bfloat16 keeps 8 bits: factors and result are off by at most 2^-9 each, relative to the product of the norms.
    bound = 1.5 * 2**-8 * (x.norm(dim=1, keepdim=True) * layer.weight.norm(dim=1) + layer.bias.abs())
    assert ((rounded - exact).abs() <= bound).all()
    assert not torch.equal(rounded.float(), exact)
    rounded.sum().backward()
    assert layer.weight.grad.dtype == torch.float32
    torch.testing.assert_close(layer.weight.grad, x.sum(0).expand(400, -1), rtol=0.05, atol=0.5)


def test_small_products_are_not_rounded(monkeypatch):
    monkeypatch.setattr(kernels, "_BFLOAT16_UNITS", True)
    layer, x = Linear(30, 40), torch.randn(64, 30).bfloat16()
    with in_bfloat16(x.device):
        y = layer(x)
        assert torch.is_autocast_enabled("cpu")
    assert torch.equal(y, F.linear(x.float(), layer.weight, layer.bias))


def test_no_rounding_without_units(monkeypatch):
    monkeypatch.setattr(kernels, "_BFLOAT16_UNITS", False)
    layer, x = Linear(300, 400), torch.randn(64, 300)
    with in_bfloat16(x.device):
        assert layer(x).dtype == torch.float32
        assert not torch.is_autocast_enabled("cpu")


@pytest.mark.parametrize("shape", [(97, 30), (1, 30), (5, 1, 6, 5), (3, 784), (3, 211)])
@pytest.mark.parametrize("scale", [0.1, 5, 100])
def test_cross_entropy(shape, scale):
    logits, x = scale * torch.randn(shape), torch.rand(shape)
    expected = F.binary_cross_entropy_with_logits(logits, x, reduction="none").flatten(1).sum(1)
    torch.testing.assert_close(bernoulli_cross_entropy(logits, x), expected, rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_cross_entropy_in_half_precision(dtype):
    logits, x = torch.zeros(2, 784, dtype=dtype), torch.full((2, 784), 0.5, dtype=dtype)
    torch.testing.assert_close(bernoulli_cross_entropy(logits, x).float(), torch.full((2,), 543.4), rtol=0.02, atol=0)


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


@pytest.mark.parametrize(("kernel", "extra"), [(3, 1), (4, 0)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_doubling_convolution_and_its_gradients(kernel, extra, dtype):
    torch.manual_seed(0)
    options = {"stride": 2, "padding": 1, "output_padding": extra, "dtype": dtype}
    ours, theirs = (layer(6, 1, kernel, **options) for layer in (ConvTranspose2d, torch.nn.ConvTranspose2d))
    ours.load_state_dict(theirs.state_dict())
    for shape in ((5, 6, 7, 4), (1, 6, 1, 1)):
        x = torch.randn(shape, dtype=dtype).contiguous(memory_format=torch.channels_last)

        def run(layer, x=x):
            here = x.clone().requires_grad_()
            y = layer(here)
            return y, *torch.autograd.grad((y.square() * y).sum(), [here, *layer.parameters()])

        for a, b in zip(run(ours), run(theirs), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", [{"stride": 1}, {"stride": 2}, {"stride": 2, "padding": 1, "bias": False}])
def test_other_transposed_convolutions_are_pytorchs(options):
    layer, x = ConvTranspose2d(6, 1, 3, **options), torch.randn(5, 6, 7, 7)
    assert torch.equal(layer(x), torch.nn.ConvTranspose2d.forward(layer, x))


def test_doubling_convolution_is_not_rounded(monkeypatch):
    monkeypatch.setattr(kernels, "_BFLOAT16_UNITS", True)
    layer, x = ConvTranspose2d(6, 1, 4, stride=2, padding=1), torch.randn(5, 6, 7, 7)
    with in_bfloat16(x.device):
        y = layer(x)
        assert layer(x.bfloat16()).dtype == torch.float32
    assert torch.equal(y, layer(x))


ROUNDED = [
    (Conv2d, {"kernel_size": 3, "stride": 2, "padding": 1}),
    (Conv2d, {"kernel_size": 4, "stride": 2, "padding": 1}),
    (Conv2d, {"kernel_size": (3, 2), "padding": (1, 0), "stride": (1, 3)}),
    (ConvTranspose2d, {"kernel_size": 3, "stride": 2, "padding": 1}),
    (ConvTranspose2d, {"kernel_size": 3, "stride": 2, "padding": 1, "output_padding": 1}),
    (ConvTranspose2d, {"kernel_size": (2, 5), "stride": (3, 2), "padding": (0, 2), "output_padding": (2, 1)}),
]


@pytest.mark.parametrize(("kind", "options"), ROUNDED)
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_rounded_convolutions_and_their_gradients(monkeypatch, kind, options, layout):
    monkeypatch.setattr(kernels, "_BFLOAT16_UNITS", True)
    torch.manual_seed(0)
    layer = kind(6, 5, **options).to(memory_format=layout)
    # Whole numbers up to 4 are exact in bfloat16 and so are products and sums of them: only the results are rounded.
    with torch.no_grad():
        for weight in layer.parameters():
            weight.copy_(torch.randint(-4, 5, weight.shape))
    for shape in ((5, 6, 7, 8), (1, 6, 5, 5)):
        x = torch.randint(-4, 5, shape).float().to(memory_format=layout).requires_grad_()
        inputs = [x, *layer.parameters()]
        exact = super(kind, layer).forward(x)
        gradient = torch.randint(-4, 5, exact.shape).float()
        with in_bfloat16(x.device):
            rounded = layer(x)
        assert (exact.dtype, rounded.dtype) == (torch.float32, torch.bfloat16)
        ours = torch.autograd.grad(rounded, inputs, gradient.bfloat16())
        theirs = torch.autograd.grad(exact, inputs, gradient)
        torch.testing.assert_close(rounded.float(), exact, rtol=2**-8, atol=0)
        for a, b in zip(ours, theirs, strict=True):
            assert a.dtype == torch.float32
            torch.testing.assert_close(a, b, rtol=2**-8, atol=0)


@pytest.mark.parametrize(
    "options",
    [{"groups": 2}, {"dilation": 2}, {"bias": False}, {"padding": "same"}, {"padding": 1, "padding_mode": "reflect"}],
)
def test_other_rounded_convolutions_are_pytorchs(monkeypatch, options):
    monkeypatch.setattr(kernels, "_BFLOAT16_UNITS", True)
    layer, x = Conv2d(6, 4, 3, **options), torch.randn(5, 6, 7, 7)
    with in_bfloat16(x.device):
        assert torch.equal(layer(x), torch.nn.Conv2d.forward(layer, x))
        assert layer(x[:0]).shape[0] == 0
        assert torch.equal(layer(x[0]), torch.nn.Conv2d.forward(layer, x[0]))
    assert torch.equal(layer(x), torch.nn.Conv2d.forward(layer, x))


def test_draw_and_kl():
    mu, logvar, noise = (torch.randn(7, 3, dtype=torch.float64) for _ in range(3))
    mu.requires_grad_(), logvar.requires_grad_()
    z, kl = draw_and_kl(mu, logvar, noise)
    torch.testing.assert_close(z, mu + (0.5 * logvar).exp() * noise)
    torch.testing.assert_close(kl, kl_per_dimension(mu, logvar))
    assert torch.autograd.gradcheck(lambda mu, logvar: draw_and_kl(mu, logvar, noise), (mu, logvar))


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW])
def test_adam_step_is_adams_to_the_bit(kind):
    def run(step):
        torch.manual_seed(0)
        layer, unused = torch.nn.Linear(30, 40), torch.nn.Parameter(torch.ones(3))
        optimizer = kind([*layer.parameters(), unused], lr=0.1, weight_decay=0.01, fused=True)
        for k in range(9):
            optimizer.param_groups[0]["lr"] = 0.1 / (k + 1)
            optimizer.zero_grad()
            layer(torch.randn(5, 30)).square().sum().backward()
            if k == 3:  # a weight that joins has no state yet
                unused.grad = torch.ones(3)
            if k == 6:  # and one that takes no part keeps its own
                layer.bias.grad = None
            if k == 7:
                optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
            step(optimizer)
        return layer, optimizer

    (ours, our_adam), (theirs, their_adam) = run(adam_step), run(lambda optimizer: optimizer.step())
    assert torch.equal(ours.weight, theirs.weight)
    assert torch.equal(ours.bias, theirs.bias)
    states = (adam.state_dict()["state"] for adam in (our_adam, their_adam))
    for a, b in zip(*(state.values() for state in states), strict=True):
        assert all(torch.equal(a[name], b[name]) for name in ("step", "exp_avg", "exp_avg_sq"))


def test_means_do_not_become_denormal():
    weight = torch.nn.Parameter(torch.ones(2))
    adam = torch.optim.Adam([weight], fused=True)
    for step in range(1500):
        weight.grad = torch.tensor([1.0, float(step < 10)])  # the second is dark from the tenth step on
        adam_step(adam)
        if step % 100 == 0:
            before = weight.clone()
            forget_tiny_means_(adam)
            assert torch.equal(weight, before)
        mean = adam.state[weight]["exp_avg"]
        assert ((mean == 0) | (mean.abs() >= torch.finfo(torch.float32).tiny)).all()
    assert mean[0] > 0.99
    assert mean[1] == 0
