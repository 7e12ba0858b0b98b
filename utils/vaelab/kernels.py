"""Two operations of every VAE, with the mathematics of PyTorch's own and faster on a processor.

Measured in ``benchmarks/`` and tested against PyTorch's versions and their gradients.
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

__all__ = ["Linear", "bernoulli_cross_entropy", "in_bfloat16", "linear"]


class Linear(nn.Linear):
    """``nn.Linear`` by :func:`linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """``[batch, in_features]`` to ``[batch, out_features]``."""
        return linear(x, self.weight, self.bias)


def linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """``F.linear``, on a processor by oneDNN.

    PyTorch gives ``float32`` products to MKL, which does not use all of an AMD processor's vector units; oneDNN, which
    PyTorch also ships, does. Under :func:`in_bfloat16` the factors are rounded once and kept so for the backward pass;
    the result is ``float32``. On accelerators, in other dtypes and under compilation this is ``F.linear`` itself.

    Arguments:
        x: ``[batch, in_features]``.
        weight: ``[out_features, in_features]``.
        bias: ``[out_features]``.

    Returns:
        ``x @ weight.T + bias``, ``[batch, out_features]``.
    """
    dtypes = (torch.float32, torch.bfloat16) if torch.is_autocast_enabled("cpu") else (torch.float32,)
    ours = _ONEDNN and x.is_cpu and weight.is_cpu and x.dtype in dtypes and weight.dtype == torch.float32
    if ours and x.dim() == 2 and x.numel() and not torch.compiler.is_compiling():
        return _Linear.apply(x, weight, bias)
    return F.linear(x, weight, bias)


def bernoulli_cross_entropy(logits: Tensor, x: Tensor) -> Tensor:
    r"""Binary cross-entropy of each pixel with logits :math:`\ell`, as :math:`\max(\ell, 0) - x \ell - \log s(|\ell|)`.

    It is ``F.binary_cross_entropy_with_logits(logits, x, reduction="none")`` summed over all but the first dimension.
    The usual form takes ``log1p``, which PyTorch computes one number at a time; ``log`` runs on whole vectors and is
    accurate here, because the sigmoid :math:`s(|\ell|)` lies in [1/2, 1]. The gradient is :math:`s(\ell) - x`.

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
        ctx.dtype = x.dtype
        if torch.is_autocast_enabled("cpu"):
            x, weight = x.bfloat16(), weight.bfloat16()
            product = _product(x, weight).add_(bias)
        else:
            product = _product(x, weight, bias)
        ctx.save_for_backward(x, weight)
        return product

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor, Tensor]:
        x, weight = ctx.saved_tensors
        rounded = gradient.to(x.dtype)
        for_x = _product(rounded, weight.t()).to(ctx.dtype) if ctx.needs_input_grad[0] else None
        return for_x, _product(rounded.t(), x.t()), gradient.sum(0)


class _BernoulliCrossEntropy(torch.autograd.Function):
    @staticmethod
    def forward(ctx, logits: Tensor, x: Tensor) -> Tensor:
        ctx.save_for_backward(logits, x)
        log_sigmoid = logits.abs().sigmoid_().log_()
        return logits.relu().sub_(log_sigmoid).addcmul_(logits, x, value=-1).flatten(1).sum(1)

    @staticmethod
    @once_differentiable
    def backward(ctx, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        logits, x = ctx.saved_tensors
        gradient = gradient.view(-1, *[1] * (logits.dim() - 1))
        for_logits = logits.sigmoid().sub_(x).mul_(gradient) if ctx.needs_input_grad[0] else None
        for_x = -logits * gradient if ctx.needs_input_grad[1] else None
        return for_logits, for_x


# The operation by which PyTorch's compiler calls oneDNN. It is not a public name: where it is missing, F.linear serves.
_ONEDNN = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
_BFLOAT16_UNITS = bool(getattr(torch.cpu, "_is_avx512_bf16_supported", bool)())


def _product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """``x @ weight.T + bias`` in ``float32``."""
    return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "").float()
