"""The stand-ins: what represents, on one side of the bridge, the objects that live on the other.

They know the bridge (:mod:`coursekit.bridge`) only as their ``peer``, which they ask.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

if TYPE_CHECKING:
    from .bridge import Peer


class Remote:
    """The stand-in of an object that lives on the other side. Its class has the name of the object's class."""

    def __init__(self, peer: Peer, number: int, name: str) -> None:
        self.__dict__.update(_peer=peer, _number=number, __name__=name, __qualname__=name)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return self._peer.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        self._peer.ask("set", self, name, value)

    def __repr__(self) -> str:
        return self._peer.ask("builtin", "repr", self) if self._peer.examiner else f"<{type(self).__name__} of a test>"

    def __len__(self) -> int:
        return self._peer.ask("builtin", "len", self)

    def __float__(self) -> float:
        return self._peer.ask("builtin", "float", self)

    def __int__(self) -> int:
        return self._peer.ask("builtin", "int", self)

    def __iter__(self) -> Iterator:
        return iter(self._peer.ask("builtin", "list", self))

    def __getitem__(self, key: Any) -> Any:
        return self._peer.ask("builtin", "item", self, key)

    def __bool__(self) -> bool:
        return True

    def __deepcopy__(self, memo: dict) -> Any:
        return self._peer.ask("deepcopy", self)


class RemoteCallable(Remote):
    """The stand-in of a function, a class or a method."""

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        """Call it where it lives."""
        if any(map(is_transformed, arguments)) and not named:
            return _Transformed.apply(self, *arguments)
        return self._peer.ask("call", self, arguments, named)


class RemoteModule(nn.Module):
    """The stand-in of a module: mirrored parameters and buffers; everything else happens where the module lives."""

    def __init__(self, peer: Peer, number: int) -> None:
        super().__init__()
        self.__dict__.update(_peer=peer, _number=number)

    def forward(self, *arguments: Any, **named: Any) -> Any:
        """Run the module where it lives."""
        return self._peer.ask("call", self, arguments, named)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):
                raise
        return self._peer.ask("get", self, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if "_number" in self.__dict__:
            self._peer.ask("set", self, name, value)
        else:
            super().__setattr__(name, value)

    @property
    def training(self) -> bool:
        """Whether the module is in training mode where it lives."""
        return bool(self._peer.ask("get", self, "training"))

    @training.setter
    def training(self, mode: bool) -> None:
        if "_number" in self.__dict__:
            self._peer.ask("set", self, "training", mode)

    def train(self, mode: bool = True) -> RemoteModule:
        """Put it into training or evaluation mode where it lives."""
        self._peer.ask("method", self, "train", (mode,), {})
        return self

    def __deepcopy__(self, memo: dict) -> Any:
        return self._peer.ask("deepcopy", self)


class RemoteSequence(RemoteModule):
    """The stand-in of a module that is a list of modules."""

    def __len__(self) -> int:
        return len(self._modules)

    def __getitem__(self, index: int | slice) -> Any:
        return list(self._modules.values())[index]

    def __iter__(self) -> Iterator:
        return iter(self._modules.values())


def _converts(name: str) -> Callable:
    def method(self: RemoteModule, *arguments: Any, **named: Any) -> RemoteModule:
        self._peer.ask("method", self, name, arguments, named)
        self._peer.ask("describe", self)
        return self

    method.__name__ = name
    return method


for _name in ("to", "double", "float", "half", "bfloat16"):
    setattr(RemoteModule, _name, _converts(_name))


class Crossing(torch.autograd.Function):
    """Tensors that the other side computed from ``inputs``, with a backward pass that asks for it."""

    @staticmethod
    def forward(ctx: Any, handle: Handle, data: list[Tensor], *inputs: Tensor) -> tuple[Tensor, ...]:
        """Give what was computed, as the result of ``inputs``."""
        ctx.handle = handle
        ctx.set_materialize_grads(False)
        return tuple(data)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple:
        """Ask the other side for the vector-Jacobian product."""
        found = ctx.handle.peer.ask("backward", ctx.handle.number, list(gradients))
        return None, None, *found


class _Transformed(torch.autograd.Function):
    """A function of tensors on the other side, called inside ``torch.func.vmap`` or ``grad``."""

    @staticmethod
    def forward(function: Remote, *inputs: Tensor) -> Tensor:
        return function._peer.ask("call", function, inputs, {})

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: Tensor) -> None:
        ctx.function = inputs[0]
        ctx.save_for_backward(*inputs[1:])

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple:
        return None, *_TransformedGradient.apply(ctx.function, gradient, *ctx.saved_tensors)

    @staticmethod
    def vmap(info: Any, in_dims: tuple, function: Remote, *inputs: Tensor) -> tuple[Tensor, int]:
        rows = _rows(info, in_dims[1:], inputs)
        return function._peer.ask("each", "call", function, rows), 0


class _TransformedGradient(torch.autograd.Function):
    @staticmethod
    def forward(function: Remote, gradient: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
        return tuple(function._peer.ask("vjp", function, list(inputs), gradient))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple, output: tuple) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple:
        raise NotImplementedError("second derivatives of what a test hands over are not available")

    @staticmethod
    def vmap(info: Any, in_dims: tuple, function: Remote, *inputs: Tensor) -> tuple[tuple, tuple]:
        gradient, *rows = _rows(info, in_dims[1:], inputs)
        found = tuple(function._peer.ask("each", "vjp", function, rows, gradient))
        return found, (0,) * len(found)


def _rows(info: Any, dims: tuple, inputs: tuple) -> list[Tensor]:
    """Batches with the mapped dimension first."""
    return [
        t.movedim(d, 0) if d is not None else t.expand(info.batch_size, *t.shape)
        for t, d in zip(inputs, dims, strict=True)
    ]


class Handle:
    """Keeps a computation of the other side alive as long as its results are."""

    def __init__(self, peer: Peer, number: int) -> None:
        self.peer, self.number = peer, number
        weakref.finalize(self, peer.released.append, ["record", number]).atexit = False


_is_wrapped = getattr(getattr(torch._C, "_functorch", None), "is_functorch_wrapped_tensor", None)


def is_transformed(value: Any) -> bool:
    """Whether a value stands for a batch or a derivative inside ``torch.func``."""
    return _is_wrapped is not None and isinstance(value, Tensor) and _is_wrapped(value)


@lru_cache(maxsize=256)
def named(base: type, name: str) -> type:
    """A subclass that has the name of a class of the other side."""
    name = name if name.isidentifier() else base.__name__
    return type(name, (base,), {"__module__": "notebook"})
