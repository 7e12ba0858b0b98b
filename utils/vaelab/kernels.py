"""Operations of the VAEs here, with the mathematics of PyTorch's own and faster on a processor.

Measured in ``benchmarks/`` and tested against PyTorch's versions and their gradients.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = [
    "Conv2d",
    "ConvTranspose2d",
    "Linear",
    "adam_step",
    "bernoulli_cross_entropy",
    "draw_and_kl",
    "forget_tiny_means_",
    "in_bfloat16",
    "linear",
]


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_features]`` to ``[batch, out_features]``."""
        return linear(x, self.weight, self.bias)


class Conv2d(nn.Conv2d):
    """``nn.Conv2d``, whose weights' gradient under :func:`in_bfloat16` is one product of matrices.

    PyTorch's own way to it takes longer in ``bfloat16`` than in ``float32``.
    """

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_channels, height, width]`` to ``[batch, out_channels, ...]``."""
        return _Convolution.apply(x, self.weight, self.bias, self) if _rounded(self, x) else super().forward(x)


class ConvTranspose2d(nn.ConvTranspose2d):
    """``nn.ConvTranspose2d``, on a processor one product where it doubles an image to a single channel.

    PyTorch has no fast way to so few channels. The product gives what each place adds to the places around it, its
    *taps*, which are then summed. This is done for kernels of 3 and 4; else this is ``nn.ConvTranspose2d`` itself,
    under :func:`in_bfloat16` with the gradient of :class:`Conv2d`.
    """

    def forward(self, x: Tensor, output_size: list[int] | None = None) -> Tensor:
        """``[batch, in_channels, height, width]`` to ``[batch, out_channels, ...]``."""
        shape = (*self.kernel_size, *self.stride, *self.padding, *self.output_padding, *self.dilation)
        doubling = shape in ((3, 3, 2, 2, 1, 1, 1, 1, 1, 1), (4, 4, 2, 2, 1, 1, 0, 0, 1, 1))
        plain = self.out_channels == self.groups == 1 and self.bias is not None and output_size is None
        ours = x.is_cpu and self.weight.is_cpu and x.dim() == 4 and x.numel() and not torch.compiler.is_compiling()
        if doubling and plain and ours:
            with torch.autocast("cpu", enabled=False):
                return _Double.apply(x.to(self.weight.dtype), self.weight, self.bias)
        if output_size is None and _rounded(self, x):
            return _Convolution.apply(x, self.weight, self.bias, self)
        return super().forward(x, output_size)


@torch.no_grad()
def adam_step(optimizer: torch.optim.Adam) -> None:
    """``optimizer.step()`` for a fused Adam or AdamW with one group of parameters.

    On a processor it calls PyTorch's operation without the preparations that ``step`` repeats each time. The first
    step, which makes the optimizer's state, and all on accelerators are ``step`` itself.
    """
    (group,) = optimizer.param_groups
    weights = [weight for weight in group["params"] if weight.grad is not None]
    states = [optimizer.state[weight] for weight in weights]
    if not all(state and weight.is_cpu for state, weight in zip(states, weights, strict=True)) or not _FUSED_ADAM:
        optimizer.step()
        return
    update = torch._fused_adamw_ if isinstance(optimizer, torch.optim.AdamW) else torch._fused_adam_
    _count(states)
    first, second, steps = ([state[name] for state in states] for name in ("exp_avg", "exp_avg_sq", "step"))
    settings = {name: group[name] for name in ("lr", "weight_decay", "eps", "amsgrad", "maximize")}
    beta1, beta2 = group["betas"]
    update(weights, [w.grad for w in weights], first, second, [], steps, beta1=beta1, beta2=beta2, **settings)


@torch.no_grad()
def forget_tiny_means_(optimizer: torch.optim.Adam) -> None:
    """Set Adam's means of gradients to zero where they are below 1e-32, in place.

    Where a gradient stays zero, as for the weights of a pixel that is dark on nearly all images, its mean shrinks by a
    tenth in each step and within a thousand steps becomes denormal, a number with which processors are many times
    slower. A mean of 1e-32 moves no weight: the step is at most lr 1e-32 / 1e-8. Called once in a hundred steps this
    keeps all means from becoming denormal.
    """
    for state in optimizer.state.values():
        state["exp_avg"].copy_(F.hardshrink(state["exp_avg"], 1e-32))


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``F.linear``, on a processor by oneDNN.

    PyTorch gives ``float32`` products to MKL, which does not use all of an AMD processor's vector units; oneDNN, which
    PyTorch also ships, does. PyTorch gives it products of ``bfloat16`` by itself. A small product is quicker without
    detours: MKL computes it, and under :func:`in_bfloat16` it is not rounded. On accelerators, in other dtypes and
    under compilation this is ``F.linear`` itself.

    Arguments:
        x: ``[batch, in_features]``.
        weight: ``[out_features, in_features]``.
        bias: ``[out_features]``.

    Returns:
        ``x @ weight.T + bias``, ``[batch, out_features]``; ``bfloat16`` where it was rounded.
    """
    ours = x.is_cpu and weight.is_cpu and weight.dtype == torch.float32 and not torch.compiler.is_compiling()
    large = weight.numel() >= _LARGE
    if not ours or not torch.is_autocast_enabled("cpu"):
        if ours and large and _ONEDNN and x.dtype == torch.float32 and x.dim() == 2 and x.numel():
            return _Linear.apply(x, weight, bias)
    elif not large:
        with torch.autocast("cpu", enabled=False):
            return F.linear(x.float(), weight, bias)
    return F.linear(x, weight, bias)


def draw_and_kl(mu: Tensor, logvar: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    r"""A code :math:`z = \mu + \sigma \odot \varepsilon` and :func:`.objectives.kl_per_dimension` in one operation.

    Each is a handful of operations on small tensors, which cost PyTorch more time to call and to differentiate than
    to compute.

    Arguments:
        mu: Means, ``[batch, latent_dim]``.
        logvar: Log-variances, of the same shape.
        noise: :math:`\varepsilon`, of the same shape.

    Returns:
        ``z`` and the KL, each of the same shape.
    """
    return _DrawAndKL.apply(mu, logvar, noise)


def bernoulli_cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    r"""Binary cross-entropy of each pixel with logits :math:`\ell`, as :math:`\max(\ell, 0) - x \ell - \log s(|\ell|)`.

    It is ``F.binary_cross_entropy_with_logits(logits, x, reduction="none")`` summed over all but the first dimension.
    The usual form takes ``log1p``, which PyTorch computes one number at a time. Here the sigmoid :math:`s(|\ell|)` lies
    in [1/2, 1]: up to a hundred of them are multiplied before one ``log`` is taken, without underflow. The gradient is
    :math:`s(\ell) - x`, of which the forward pass has everything.

    Arguments:
        logits: ``[batch, ...]``.
        x: Targets in [0, 1], of the same shape.

    Returns:
        Nats per image, ``[batch]``.
    """
    return _BernoulliCrossEntropy.apply(logits, x)


def in_bfloat16(device: torch.device) -> AbstractContextManager[None]:
    """A context in which products and convolutions round their factors to bfloat16, where that is faster.

    On a processor without units for bfloat16, where rounding would be many times slower, it does nothing.
    """
    if device.type == "cpu" and not _BFLOAT16_UNITS:
        return nullcontext()
    return torch.autocast(device.type, torch.bfloat16)


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return _product(x, weight, bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        for_x = _product(gradient, weight.t()) if ctx.needs_input_grad[0] else None
        return for_x, gradient.t() @ x, gradient.sum(0)


class _Convolution(torch.autograd.Function):
    """A convolution or transposed convolution in bfloat16.

    The gradient of the images is the opposite operation with the same weights. That of the weights is one product of
    the smaller images with the windows of the larger ones.
    """

    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor, layer: nn.Conv2d | nn.ConvTranspose2d) -> Tensor:
        x, weight, bias = x.bfloat16(), weight.bfloat16(), bias.bfloat16()
        ctx.save_for_backward(x, weight)
        ctx.transposed, ctx.geometry = layer.transposed, (layer.stride, layer.padding, layer.dilation)
        return torch.convolution(x, weight, bias, *ctx.geometry, layer.transposed, layer.output_padding, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor, None]:
        x, weight = ctx.saved_tensors
        small, large = (x, gradient) if ctx.transposed else (gradient, x)
        stride, padding, _ = ctx.geometry
        spare = [
            large.shape[axis] + 2 * padding[axis - 2] - stride[axis - 2] * (small.shape[axis] - 1) - weight.shape[axis]
            for axis in (2, 3)
        ]
        for_x = None
        if ctx.needs_input_grad[0]:
            for_x = torch.convolution(gradient, weight, None, *ctx.geometry, not ctx.transposed, spare, 1)
        windows = _windows(large, weight.shape[2:], stride, padding, spare)
        rows = small.permute(0, 2, 3, 1).flatten(0, 2)
        for_weight = (windows.t() @ rows).t().view(len(weight), *weight.shape[2:], -1).permute(0, 3, 1, 2)
        return for_x, for_weight, gradient.sum((0, 2, 3)), None


class _Double(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        batch, channels, height, width = x.shape
        rows = x.permute(0, 2, 3, 1).reshape(-1, channels)
        ctx.save_for_backward(rows, weight)
        taps = (weight.flatten(1).t() @ rows.t()).view(*weight.shape[2:], batch, 1, height, width)
        wide = _sum_taps(taps.transpose(0, 1), -1)
        return _sum_taps(wide, -2).add_(bias)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        rows, weight = ctx.saved_tensors
        size = weight.shape[-1]
        windows = F.pad(gradient, (1, 1, 1, 1)).unfold(2, size, 2).unfold(3, size, 2)
        batch, _, height, width = windows.shape[:4]
        for_taps = windows.permute(4, 5, 0, 1, 2, 3).reshape(size * size, -1)
        for_x = (for_taps.t() @ weight.flatten(1).t()).view(batch, height, width, -1).permute(0, 3, 1, 2)
        return for_x, (for_taps @ rows).t().reshape(weight.shape), gradient.sum().view(1)


class _DrawAndKL(torch.autograd.Function):
    @staticmethod
    def forward(ctx, mu: Tensor, logvar: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        spread = (0.5 * logvar).exp_().mul_(noise)
        surplus = logvar.exp().sub_(1)
        ctx.save_for_backward(mu, spread, surplus)
        return mu + spread, mu.square().add_(surplus).sub_(logvar).mul_(0.5)

    @staticmethod
    @once_differentiable
    def backward(ctx, for_z: Tensor, for_kl: Tensor) -> tuple[Tensor, Tensor, None]:
        mu, spread, surplus = ctx.saved_tensors
        return torch.addcmul(for_z, for_kl, mu), (for_z * spread).addcmul_(for_kl, surplus).mul_(0.5), None


class _BernoulliCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits: Tensor, x: Tensor) -> Tensor:
        sigmoid = logits.sigmoid()
        surer = 1 - sigmoid
        surer = torch.maximum(sigmoid, surer, out=surer).flatten(1)
        log_surer = surer.unflatten(1, (_groups(surer), -1)).prod(2).log_().sum(1)
        ctx.save_for_backward(logits, sigmoid.sub_(x))
        return logits.relu().addcmul_(logits, x, value=-1).flatten(1).sum(1).sub_(log_surer)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits, difference = ctx.saved_tensors
        gradient = gradient.view(-1, *[1] * (logits.dim() - 1))
        for_logits = difference * gradient if ctx.needs_input_grad[0] else None
        for_x = -logits * gradient if ctx.needs_input_grad[1] else None
        return for_logits, for_x


# The operations by which PyTorch's compiler calls oneDNN and torch.optim.Adam updates the weights. They are not public
# names: where they are missing, F.linear and Adam.step serve.
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_FUSED_ADAM = hasattr(torch, "_fused_adam_") and hasattr(torch, "_fused_adamw_")
_BFLOAT16_UNITS = bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())
_ROUNDED = (torch.float32, torch.bfloat16)  # what autocast rounds, and what it has rounded
_LARGE = 2**16  # weights in a layer from which on its products are worth a detour


def _count(states: list[dict[str, Tensor]]) -> None:
    """Add one to the steps that Adam counts for each weight: in one operation, once they are parts of one tensor."""
    steps = states[0]["step"]._base
    if steps is None or len(steps) != len(states) or any(state["step"]._base is not steps for state in states):
        steps = torch.stack([state["step"] for state in states])
        for state, step in zip(states, steps, strict=True):
            state["step"] = step
    steps += 1


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias``."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")


def _rounded(layer: nn.Conv2d | nn.ConvTranspose2d, x: Tensor) -> bool:
    """Whether :class:`_Convolution` computes this layer: rounding is on, and it is more than one channel's."""
    ours = x.is_cpu and layer.weight.is_cpu and x.dim() == 4 and x.numel() and not torch.compiler.is_compiling()
    if not ours or not torch.is_autocast_enabled("cpu") or torch.get_autocast_dtype("cpu") != torch.bfloat16:
        return False
    plain = layer.groups == 1 and layer.dilation == (1, 1) and layer.bias is not None and layer.padding_mode == "zeros"
    return plain and layer.in_channels > 1 and not isinstance(layer.padding, str) and x.dtype in _ROUNDED


def _windows(images: Tensor, kernel: tuple, stride: tuple, padding: tuple, spare: list[int]) -> Tensor:
    """What a convolution's kernel sees at each of its places, ``[batch * places, kernel * channels]``.

    Arguments:
        images: ``[batch, channels, height, width]``.
        kernel: Height and width of the kernel.
        stride: The convolution's.
        padding: The convolution's.
        spare: Rows and columns of the padded images that the last window does not reach.
    """
    around = (0, 0, padding[1], padding[1] - spare[1], padding[0], padding[0] - spare[0])
    lines = F.pad(images.permute(0, 2, 3, 1), around).flatten(2)
    channels = images.shape[1]
    windows = lines.unfold(2, kernel[1] * channels, stride[1] * channels).unfold(1, kernel[0], stride[0])
    return windows.transpose(3, 4).reshape(-1, kernel[0] * kernel[1] * channels)


def _groups(images: Tensor) -> int:
    """The smallest number of equal groups of at most 100 pixels; in half precision each pixel is one."""
    pixels = images.shape[1]
    if images.dtype in (torch.float16, torch.bfloat16):
        return pixels
    return next(groups for groups in range(-(-pixels // 100), pixels + 1) if pixels % groups == 0)


def _sum_taps(taps: Tensor, axis: int) -> Tensor:
    """Sum the taps of the places along an axis, which doubles it: the k-th tap of place i lands on 2 i - 1 + k.

    Arguments:
        taps: ``[3 or 4, ...]``; they are overwritten.
        axis: The axis, counted from the last.
    """
    before, even, odd, *after = taps
    n = even.shape[axis]
    odd.narrow(axis, 0, n - 1).add_(before.narrow(axis, 1, n - 1))
    for tap in after:
        even.narrow(axis, 1, n - 1).add_(tap.narrow(axis, 0, n - 1))
    return torch.stack([even, odd], axis).flatten(axis - 1, axis)
